import math
from pathlib import Path

import pytest
import torch

from generators.anomalyhybrid.losses import perceptual_loss, real_or_not
from generators.anomalyhybrid.network import Discriminator, HybridGenerator, fuse
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.sources import VGG19

SMALL = {"width": 8, "downsamplings": 2, "blocks": 1, "perceptual": "embedded"}


def params(**more: object) -> AnomalyHybridParams:
    return AnomalyHybridParams(**{**SMALL, **more})


@pytest.fixture
def generator() -> HybridGenerator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return HybridGenerator(params(), 3)


def test_the_output_is_equation_1(generator: HybridGenerator) -> None:
    conditions = torch.rand(2, 5, 32, 32)
    content = conditions[:, :3]
    for result in generator(conditions, {"ahd": content, "ahe": content}).values():
        torch.testing.assert_close(
            result.image, content * (1 - result.fusion) + result.generated * result.fusion
        )
        assert 0 < float(result.fusion.min()) <= float(result.fusion.max()) < 1


def test_a_fusion_map_of_zero_is_the_reference_and_of_one_the_generated() -> None:
    content, generated = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(fuse(content, generated, torch.zeros(1, 1, 4, 4)), content)
    torch.testing.assert_close(fuse(content, generated, torch.ones(1, 1, 4, 4)), generated)


def test_depth_and_edge_have_decoders_of_their_own(generator: HybridGenerator) -> None:
    conditions = torch.rand(1, 5, 32, 32)
    both = generator(conditions, {"ahd": conditions[:, :3], "ahe": conditions[:, :3]})
    assert (both["ahd"].image != both["ahe"].image).any()
    alone = generator(conditions, {"ahe": conditions[:, :3]})
    assert list(alone) == ["ahe"]
    torch.testing.assert_close(alone["ahe"].image, both["ahe"].image)


@pytest.mark.parametrize("side", [32, 37, 50])
def test_any_side_comes_out_as_it_went_in(generator: HybridGenerator, side: int) -> None:
    conditions = torch.rand(1, 5, side, side)
    assert generator(conditions, {"ahd": conditions[:, :3]})["ahd"].image.shape == (1, 3, side, side)


def test_the_papers_network_has_four_scales_below_the_first_and_nine_blocks() -> None:
    with torch.device("meta"):
        network = HybridGenerator(AnomalyHybridParams(), 3)
        features = network.encoder(torch.empty(1, 5, 256, 256))
    assert [tuple(f.shape[1:]) for f in features] == [
        (64, 256, 256), (128, 128, 128), (256, 64, 64), (512, 32, 32), (1024, 16, 16)
    ]  # fmt: skip
    assert len(network.encoder.blocks) == 9


def test_the_discriminator_sees_the_conditions() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        discriminator = Discriminator(params(), 3)
    image = torch.rand(1, 3, 64, 64)
    one, other = (discriminator(torch.rand(1, 5, 64, 64), image) for _ in range(2))
    assert len(one) == 2  # scales
    assert all((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("gan", ["lsgan", "log"])
def test_a_right_judgement_costs_less_than_a_wrong_one(gan: str) -> None:
    sure = [torch.full((1, 1, 4, 4), 0.9)]
    assert real_or_not(sure, True, gan) < real_or_not(sure, False, gan)


def test_the_perceptual_loss_is_nothing_for_equal_images_and_has_a_gradient() -> None:
    loss = perceptual_loss(params(), None)
    image, other = torch.rand(1, 3, 64, 64) * 2 - 1, (torch.rand(1, 3, 64, 64) * 2 - 1).requires_grad_()
    assert float(loss(image, image)) == 0
    found = loss(other, image)
    found.backward()
    assert float(found) > 0
    assert other.grad is not None and float(other.grad.abs().sum()) > 0


@pytest.fixture
def vgg(tmp_path: Path) -> torch.nn.Sequential:
    """The layers of a random VGG-19, whose file lies in `tmp_path` under the name of the real one."""
    torchvision = pytest.importorskip("torchvision")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = torchvision.models.vgg19(weights=None).features
    torch.save({f"features.{name}": value for name, value in layers.state_dict().items()}, tmp_path / VGG19)
    return layers.eval()


def test_l_vgg_is_pix2pixhds_distance_of_five_depths(vgg: torch.nn.Sequential, tmp_path: Path) -> None:
    loss = perceptual_loss(params(perceptual="vgg"), tmp_path)
    images = [torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(s)) * 2 - 1 for s in (0, 1)]
    features: list[list[torch.Tensor]] = [[], []]
    with torch.no_grad():
        for kept, x in zip(features, images, strict=True):
            relu = 1
            for layer in vgg:
                x = layer(x)
                if isinstance(layer, torch.nn.ReLU):
                    if relu == 1:  # relu1_1, relu2_1, ..., relu5_1
                        kept.append(x.clone())
                    relu += 1
                elif isinstance(layer, torch.nn.MaxPool2d):
                    relu = 1
        weights = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]
        expected = sum(w * (a - b).abs().mean() for w, a, b in zip(weights, *features, strict=True))
        torch.testing.assert_close(loss(*images), expected)
    grey = images[0][:, :1]
    assert loss(grey, images[1][:, :1]) == loss(grey.expand(-1, 3, -1, -1), images[1][:, :1])


def test_eq_3_costs_the_logarithms_of_d_and_of_its_complement() -> None:
    values = [torch.tensor([[[[0.3, -1.2]]]]), torch.tensor([[[[2.0]]]])]  # two scales
    true = [-math.log(1 / (1 + math.exp(-v))) for v in (0.3, -1.2, 2.0)]
    false = [-math.log(1 - 1 / (1 + math.exp(-v))) for v in (0.3, -1.2, 2.0)]
    for real, costs in ((True, true), (False, false)):
        expected = ((costs[0] + costs[1]) / 2 + costs[2]) / 2
        assert real_or_not(values, real, "log").item() == pytest.approx(expected, rel=1e-5)
    squares = ((0.3**2 + 1.2**2) / 2 + 2.0**2) / 2
    assert real_or_not(values, False, "lsgan").item() == pytest.approx(squares, rel=1e-5)


def test_folding_batch_norms_keeps_the_embedded_features() -> None:
    import timm

    from bench.features.embedded import embedded_weights
    from bench.features.weights import load_state
    from generators.anomalyhybrid.losses import _fold

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    theirs = load_state(embedded_weights()).values()
    network.load_state_dict(dict(zip(network.state_dict(), theirs, strict=True)))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(images)
        _fold(network)
        torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-3)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())
