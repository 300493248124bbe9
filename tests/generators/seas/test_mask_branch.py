"""The shapes of Fig. 4, at the real size without any memory, and what its modules compute."""

import pytest

torch = pytest.importorskip("torch")
mask_network = pytest.importorskip("generators.seas.mask_network")
features = pytest.importorskip("generators.seas.features")

LATENTS = (2, 4, 64, 64)


@pytest.fixture(scope="module")
def real_size():
    """Stable Diffusion 1's U-Net and VAE as shapes alone."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        )
    return unet, vae


@pytest.fixture(scope="module")
def looked_at(real_size):
    """The features of up-1 to up-4 and of the decoder at 512 x 512."""
    unet, vae = real_size
    with torch.device("meta"), torch.no_grad():
        latents, times, prompts = (
            torch.empty(LATENTS),
            torch.empty(2, dtype=torch.long),
            torch.empty(2, 77, 768),
        )
        _, coarse = features.noise_and_features(unet, (1, 2, 3, 4), latents, times, prompts)
        image, fine = features.decode(vae, latents)
    return coarse, image, fine


def test_features_have_the_sizes_of_a_5(looked_at) -> None:
    coarse, image, fine = looked_at
    sizes = [tuple(each.shape[1:]) for each in coarse]
    assert sizes == [(1280, 16, 16), (1280, 32, 32), (640, 64, 64), (320, 64, 64)]
    assert tuple(image.shape) == (2, 3, 512, 512)
    assert [tuple(each.shape[1:]) for each in fine] == [(512, 128, 128), (512, 256, 256), (256, 512, 512)]


def test_the_branch_has_the_shapes_of_fig_4(looked_at) -> None:
    coarse, _, fine = looked_at
    with torch.device("meta"), torch.no_grad():
        branch = mask_network.MaskBranch([1280, 640], [128, 64], [512, 512, 256], [128, 64, 32])
        f1, f2 = coarse[1], coarse[2]
        compressed = [compress(f) for compress, f in zip(branch.coarse.compress, (f1, f2), strict=True)]
        assert [tuple(each.shape[1:]) for each in compressed] == [(128, 32, 32), (64, 64, 64)]
        unified = branch.coarse([f1, f2])
        assert tuple(unified.shape[1:]) == (192, 64, 64)
        assert len(branch.coarse.fuse) == 4
        assert len(branch.refine) == 3
        sizes, x = [], unified
        for module, each in zip(branch.refine, fine, strict=True):
            x = module(x, each)
            sizes.append(x.shape[2])
        assert sizes == [128, 256, 512]
        small, large = branch([f1, f2], fine, 512)
    assert tuple(small.shape) == (2, 2, 64, 64)
    assert tuple(large.shape) == (2, 2, 512, 512)


def test_encoder_features_run_from_coarse_to_fine(real_size) -> None:
    _, vae = real_size
    with torch.device("meta"), torch.no_grad():
        found = features.encoder_features(vae, torch.empty(2, 3, 512, 512))
    sizes = [tuple(each.shape[1:]) for each in found]
    assert sizes == [(256, 128, 128), (128, 256, 256), (128, 512, 512)]
    _, channels = features.channels(*real_size, (2, 3), "vae-encoder")
    assert channels == [each[0] for each in sizes]


@pytest.mark.parametrize(
    ("levels", "expected"), [((1, 2, 3), [1280, 1280, 640]), ((2, 3, 4), [1280, 640, 320])]
)
def test_channels_are_read_off_the_networks(real_size, levels, expected) -> None:
    coarse, fine = features.channels(*real_size, levels, "vae-decoder")
    assert coarse == expected
    assert fine == [512, 512, 256]


def test_a_refinement_module_sums_its_paths_and_multiplies_by_the_fine_feature() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = mask_network.MaskRefinement(6, 8, 4, "c").eval()
        x, fine = torch.randn(1, 6, 4, 4), torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        up = torch.nn.functional.interpolate(module.enter(x), (8, 8), mode="bilinear")
        one = module.blocks[0](up)
        two = module.blocks[1](one)
        expected = module.out((one + two + module.local(up)) * module.fine(fine))
        torch.testing.assert_close(module(x, fine), expected)


@pytest.mark.parametrize(("case", "blocks"), [("a", 0), ("b", 1), ("c", 2)])
def test_the_cases_of_fig_12_differ_in_their_blocks(case: str, blocks: int) -> None:
    assert len(mask_network.MaskRefinement(6, 8, 4, case).blocks) == blocks


def test_a_block_is_two_1x1_convolutions_and_one_3x3() -> None:
    block = mask_network.ConvolutionBlock(4)
    sizes = [each.kernel_size[0] for each in block.modules() if isinstance(each, torch.nn.Conv2d)]
    assert sorted(sizes) == [1, 1, 3]


def test_without_refinement_the_mask_is_the_coarse_one_upsampled() -> None:
    branch = mask_network.MaskBranch([8, 8], [4, 4], [4, 4, 4], [4, 4, 4], "none")
    x = [torch.randn(1, 8, 4, 4), torch.randn(1, 8, 8, 8)]
    small, large = branch(x, [], 32)
    torch.testing.assert_close(large, torch.nn.functional.interpolate(small, (32, 32), mode="bilinear"))


def test_a_single_module_takes_the_finest_feature() -> None:
    branch = mask_network.MaskBranch([8], [8], [4, 5, 6], [4, 4, 4], "single")
    fine = [torch.empty(1, 4, 1, 1), torch.empty(1, 5, 1, 1), torch.randn(1, 6, 16, 16)]
    _, large = branch([torch.randn(1, 8, 8, 8)], fine, 16)
    assert large.shape == (1, 2, 16, 16)
