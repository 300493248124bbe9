"""seas[released] against what the released code does, written here again: network, targets, noise, tokens."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.methods import Request
from generators.seas import SeaS
from generators.seas.params import RELEASED, TINY, SeaSParams

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
F = torch.nn.functional

KEYS = Path(__file__).with_name("released_mask_branch.tsv")
"""Names and shapes of the released mask checkpoint."""
SMALL = {**TINY, **RELEASED, "optimizer": "adamw", "sampling_precision": "fp32", "precision": "fp32"}
LESS = {"steps_per_type": 1, "mask_steps_per_type": 1, "sampling_steps": 3}


def released_shapes() -> dict[str, tuple[int, ...]]:
    rows = (line.split("\t") for line in KEYS.read_text().splitlines() if line)
    return {name: tuple(ast.literal_eval(shape)) for name, shape in rows}


def real_branch():
    from generators.seas.released_network import ReleasedMaskBranch

    return ReleasedMaskBranch([1280, 640], [128, 64], [512, 512, 256])


def test_the_released_checkpoint_fits_to_the_parameter() -> None:
    with torch.device("meta"):
        branch = real_branch()
    shapes = {name: tuple(value.shape) for name, value in branch.state_dict().items()}
    assert shapes == released_shapes()
    sizes = {name: value.numel() for name, value in branch.named_parameters()}
    assert sum(sizes.values()) == 6_448_258
    assert sum(size for name, size in sizes.items() if ".conv6." not in name) == 5_451_778


def batch_norm(x, state, name):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    gain, bias = (state[f"{name}.{part}"][:, None, None] for part in ("gain", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * gain + bias


def convolved(x, state, name):
    """Convolution, batch normalisation, ReLU."""
    weight = state[f"{name}.0.weight"]
    return batch_norm(F.conv2d(x, weight, padding=weight.shape[2] // 2), state, f"{name}.1").relu()


def attended(x, state, name, heads=8):
    def linear(x, part):
        return F.linear(x, state[f"{name}.{part}.weight"], state.get(f"{name}.{part}.bias"))

    def normed(x, part):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"])

    inner = normed(x, "norm1")
    query, key, value = (
        linear(inner, f"attn1.to_{part}").unflatten(2, (heads, -1)).transpose(1, 2) for part in "qkv"
    )
    weights = (query @ key.transpose(2, 3) / math.sqrt(query.shape[3])).softmax(3)
    x = x + linear((weights @ value).transpose(1, 2).flatten(2), "attn1.to_out.0")
    hidden, gate = linear(normed(x, "norm3"), "ff.net.0.proj").chunk(2, dim=2)
    return x + linear(hidden * F.gelu(gate), "ff.net.2")


def coarse_by_hand(features, state):
    low, middle = (
        F.conv2d(feature, state[f"{name}_feature_conv.0.weight"])
        for name, feature in zip(("low", "mid"), features, strict=True)
    )
    low = F.interpolate(low, middle.shape[2:], mode="bilinear", align_corners=False)
    x = torch.cat([low, middle], 1)
    at = "mid_attn_block.attentions.0"
    inner = F.group_norm(x, 32, state[f"{at}.norm.weight"], state[f"{at}.norm.bias"], 1e-6)
    inner = F.conv2d(inner, state[f"{at}.proj_in.weight"], state[f"{at}.proj_in.bias"])
    tokens = inner.flatten(2).transpose(1, 2)
    for layer in range(4):
        tokens = attended(tokens, state, f"{at}.transformer_blocks.{layer}")
    inner = tokens.transpose(1, 2).unflatten(2, inner.shape[2:])
    return x + F.conv2d(inner, state[f"{at}.proj_out.weight"], state[f"{at}.proj_out.bias"])


def head_by_hand(x, state):
    x = batch_norm(x, state, "out_layer.0").relu()
    return F.conv2d(x, state["out_layer.2.weight"], state["out_layer.2.bias"], padding=1)


def logits_by_hand(features, fine, state):
    """Coarse logits of all images, and large ones: refined for the abnormal, enlarged for the normal."""
    coarse = coarse_by_hand(features, state)
    count = len(fine[0])
    x = coarse[:count]
    for number, feature in enumerate(fine, start=1):
        at = f"MRM{number}"
        up = F.interpolate(x, feature.shape[2:], mode="bilinear", align_corners=True)
        chain = up
        paths = [convolved(up, state, f"{at}.conv5")]
        for names in (("conv2", "conv3", "conv4"), ("conv7", "conv8", "conv9")):
            for name in names:
                chain = convolved(chain, state, f"{at}.{name}")
            paths.append(chain)
        x = convolved(feature, state, f"{at}.conv1") * sum(paths) + up
    large = F.interpolate(coarse[count:], x.shape[2:], mode="bilinear", align_corners=True)
    return head_by_hand(coarse, state), head_by_hand(torch.cat([x, large]), state)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_released_branch_computes_its_layers_one_by_one(mode: str) -> None:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int):
        return torch.randn(shape, generator=generator)

    state = {
        name: normal(*shape) / max(1, math.prod(shape[1:])) ** 0.5
        for name, shape in released_shapes().items()
    }
    branch = real_branch()
    assert not any(branch.load_state_dict(state, strict=True))
    features = [normal(4, 1280, 2, 2), normal(4, 640, 4, 4)]
    fine = [normal(2, 512, 8, 8), normal(2, 512, 12, 12), normal(2, 256, 16, 16)]
    with torch.no_grad():
        small, large = getattr(branch, mode)().training_logits(features, fine, 16)
    for computed, expected in zip((small, large), logits_by_hand(features, fine, state), strict=True):
        torch.testing.assert_close(computed, expected, atol=2e-4, rtol=2e-4)
    assert (small.shape, large.shape) == ((4, 2, 4, 4), (4, 2, 16, 16))


def test_a_step_of_ddpm_is_that_of_diffusers() -> None:
    from diffusers import DDPMScheduler

    from generators.seas.noising import one_step_on, signal_shares

    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
    scheduler = DDPMScheduler(**schedule, beta_schedule="scaled_linear", clip_sample=False)
    times = torch.tensor([0, 1, 40, 999])
    latents, noise = torch.randn(2, 4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for row, time in enumerate(times.tolist()):
        expected = scheduler.step(
            noise[row : row + 1],
            time,
            latents[row : row + 1],
            generator=torch.Generator().manual_seed(row),
            return_dict=False,
        )[0]
        fresh = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(row))
        one = slice(row, row + 1)
        computed = one_step_on(latents[one], noise[one], times[one], signal_shares(schedule), fresh)
        torch.testing.assert_close(computed, expected, atol=2e-4, rtol=2e-4)


def test_smoothing_of_the_focal_loss_clamps_the_targets_and_adds_to_the_probability() -> None:
    from generators.seas.losses import focal_loss

    generator = torch.Generator().manual_seed(0)
    logits = 6 * torch.randn(2, 2, 8, 8, generator=generator)
    mask = torch.randint(2, (2, 8, 8), generator=generator)
    smooth = 0.05
    targets = F.one_hot(mask, 2).permute(0, 3, 1, 2).float().clamp(smooth, 1 - smooth)
    p = (logits.softmax(1) * targets).sum(1) + smooth
    torch.testing.assert_close(focal_loss(logits, mask, 2.0, smooth), (-((1 - p) ** 2) * p.log()).mean())


def test_the_mean_over_a_batch_is_the_loss_of_its_images_as_one() -> None:
    from generators.seas.losses import focal_loss
    from generators.seas.mask_training import mask_loss

    generator = torch.Generator().manual_seed(0)
    small, large = (torch.randn(3, 2, side, side, generator=generator) for side in (4, 8))
    masks = [torch.zeros(3, side, side) for side in (4, 8)]
    for mask in masks:
        mask[:2, 1:3, 1:3] = 1
    computed = mask_loss(
        small[:2], large[:2], masks[0][:2], masks[1][:2], small[2:], normal_large=large[2:], total="mean"
    )
    expected = focal_loss(small, masks[0]) + focal_loss(large, masks[1])
    torch.testing.assert_close(computed, expected)


def test_truncated_targets_keep_the_cells_that_are_exactly_one() -> None:
    from generators.seas.losses import coarse_target

    mask = torch.zeros(2, 64, 64)
    mask[0, 3:30, 5:41] = 1
    mask[1, 20, :] = 1  # a scratch: no cell is ever whole
    small = F.interpolate(mask[:, None], (8, 8), mode="bilinear")[:, 0]
    torch.testing.assert_close(coarse_target(mask, 8, "truncated"), small.long().float())
    assert coarse_target(mask, 8, "truncated")[1].sum() == 0
    assert coarse_target(mask, 8, "any")[1].sum() == 8
    mask[1, 19:21, :] = 1  # two rows, of which the interpolation sees one
    assert coarse_target(mask, 8, "scaled-truncated")[1].sum() == 8
    mask[1] = 0
    mask[1, 0, 0] = 1
    assert coarse_target(mask, 8, "scaled-truncated") is None


def test_the_second_term_over_parts_of_cells_counts_each_that_is_touched() -> None:
    from generators.seas.losses import suppression_loss

    maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    mask = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    assert float(suppression_loss([maps], [mask], norm="none")) == 1
    assert float(suppression_loss([maps], [mask], norm="none", cells="part")) == pytest.approx((1 + 4) / 2)


def second_order(start, shares, times):
    """DPM-Solver++ of two steps, written from its formula, to the noise level of time 0; noise = sin(x)."""

    def level(time):
        share = float(shares[time])
        return share**0.5, (1 - share) ** 0.5

    x, before = start, None
    for number, time in enumerate(times):
        alpha, sigma = level(time)
        next_alpha, next_sigma = level(times[number + 1] if number + 1 < len(times) else 0)
        clean = (x - sigma * torch.sin(x)) / alpha
        h = math.log(next_alpha / next_sigma) - math.log(alpha / sigma)
        direction = clean
        if before is not None:
            direction = clean + (clean - before[0]) * h / (2 * before[1])
        x = next_sigma / sigma * x - next_alpha * math.expm1(-h) * direction
        before = (clean, h)
    return x


def test_the_solver_ends_as_asked() -> None:
    from generators.seas.noising import signal_shares
    from generators.seas.sampling import solver

    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
    schedule |= {"beta_schedule": "scaled_linear"}
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = second_order(start, signal_shares(schedule), TIMES)
    ends = {}
    for end in ("zero", "sigma_min"):
        scheduler = solver(schedule, SeaSParams(solver_end=end))
        assert scheduler.timesteps.tolist() == TIMES
        x = start
        for time in scheduler.timesteps:
            x = scheduler.step(torch.sin(x), time, x).prev_sample
        ends[end] = float((x - expected).square().mean().sqrt())
    assert ends["sigma_min"] < 1e-5
    assert ends["zero"] > 1e-2


TIMES = [round(999 - step * 999 / 25) for step in range(25)]
"""25 sampling steps, from the last time of training on."""


def test_each_anomaly_has_its_own_normal_image_in_the_same_pose(tuning) -> None:
    from generators.seas.material import draw

    plate = tuning(normal_pairing="paired", normals=3)
    poses = draw(plate.material, plate.params, np.random.default_rng(0), 300, 300)
    partner: dict[tuple[int, int], set[int]] = {}
    for anomaly, normal in zip(poses[:300], poses[300:], strict=True):
        assert normal.kind == -1
        assert (anomaly.turn, anomaly.mirror) == (normal.turn, normal.mirror)
        partner.setdefault((anomaly.kind, anomaly.row), set()).add(normal.row)
    pairs = plate.material.pairs
    assert partner == {pair: {plate.material.normal[n % 3]} for n, pair in enumerate(pairs)}
    few = tuning(normal_pairing="paired", anomalies=1)  # one of each of two types
    poses = draw(few.material, few.params, np.random.default_rng(0), 0, 300)
    assert {pose.row for pose in poses} == set(few.material.normal[:2])


@pytest.fixture(scope="module")
def learned(tmp_path_factory, weights, split):
    """A model that learned all as the release does, in as few steps."""
    from bench.methods.context import Context

    folder = tmp_path_factory.mktemp("released")
    torch.set_num_threads(1)
    ctx = Context(0, "generator.fit", "seas", "plate", "cpu", folder, weights)
    SeaS.configure(None, {**SMALL, **LESS}).fit(split, folder / "model", ctx)
    return folder / "model"


def test_the_whole_token_table_is_learned_and_saved(learned, base_folder) -> None:
    from safetensors.torch import load_file

    before = load_file(base_folder / "text_encoder" / "model.safetensors")
    before = next(value for name, value in before.items() if name.endswith("token_embedding.weight"))
    words = load_file(learned / "plate" / "0" / "words.safetensors")
    assert set(words) == {"fixed", "new"}
    assert words["fixed"].shape == before.shape
    assert ((words["fixed"] - before).abs().amax(1) > 0).all()  # weight decay acts on rows of no prompt too


def test_the_released_preset_learns_its_own_branch_and_keeps_images_as_they_come(
    learned, split, context
) -> None:
    from safetensors.torch import load_file

    names = load_file(learned / "plate" / "0" / "mask.safetensors")
    assert set(names) == set(released_shapes())
    seas = SeaS.configure(None, {**SMALL, **LESS})
    ctx = context(stage="generator.sample")
    (sample,) = seas.sample(learned, split, Request("plate", "hole", range(1)), ctx)
    assert sample.image.shape == (64, 64, 3)


def test_sampling_looks_at_the_noisy_latents_and_decodes_what_the_solver_ends_at(
    learned, base_folder, context, split
) -> None:
    """The VAE's features are those of the latents before each of the last three steps, no clean ones."""
    from generators.seas.features import decode, noise_and_features
    from generators.seas.sampling import load_sampler, solver

    params = SeaSParams(**{**SMALL, "sampling_steps": 4})
    ends = (learned / "plate", [["hole", "stain"]], "plate", "stain", base_folder, context())
    plate = load_sampler(params, *ends)
    images = np.stack([split.categories["plate"].normal[row] for row in (0, 1)])
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    computed = plate.make(images, noise)
    steps = solver(plate.schedule, params)
    assert steps.config.final_sigmas_type == "sigma_min"
    masks = []
    with torch.no_grad():
        latents = plate.start(images, noise)
        for number, time in enumerate(steps.timesteps):
            twice, prompts = torch.cat([latents] * 2), plate.prompts.repeat_interleave(2, dim=0)
            both, coarse = noise_and_features(plate.unet, (2, 3), twice, time, prompts)
            empty, full = both.chunk(2)
            if number > 0:
                _, fine = decode(plate.vae, latents)
                state = dict(plate.branch.state_dict())
                _, logits = logits_by_hand([feature[2:] for feature in coarse], fine, state)
                masks.append(logits.softmax(1)[:, 1])
            latents = steps.step(empty + params.guidance * (full - empty), time, latents).prev_sample
        final, _ = decode(plate.vae, latents)
    torch.testing.assert_close(computed.images, final, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(computed.probabilities, sum(masks) / 3, atol=1e-3, rtol=1e-3)


def test_the_mask_stage_accumulates_batches_of_all_times_and_noisy_latents(tuning) -> None:
    from bench.methods.training import FitPart
    from generators.seas.features import decode
    from generators.seas.mask_training import MaskTraining, build_branch, mask_fit
    from generators.seas.noising import noised, one_step_on

    plate = tuning(**{**RELEASED, "optimizer": "adamw"})
    with torch.no_grad():
        embedded = plate.text(plate.stage.ids)
    branch = build_branch(plate.base, plate.params)
    training = MaskTraining(
        plate.base, branch, embedded, plate.material, plate.latents, plate.params, torch.device("cpu")
    )
    times: list[int] = []
    batch = training.batch
    training.batch = lambda ctx, index: times.append(index) or batch(ctx, index)
    fit = mask_fit(training, plate.ctx, "seas", FitPart("mask", 0, 2), 2)
    assert math.isfinite(fit.step(0)["loss"]) and math.isfinite(fit.step(1)["loss"])
    assert times == [0, 1, 2, 3]
    poses, noise, steps_back, jitter, fresh = batch(plate.ctx, 0)
    with torch.no_grad():
        _, fine = training.features(poses, noise, steps_back, jitter, 2, fresh)
        noisy = noised(plate.latents.draw(poses, jitter), noise, training.shares[steps_back].float())
        kinds = torch.tensor([pose.kind for pose in poses]) % len(embedded)
        guess = plate.base.unet(noisy, steps_back, encoder_hidden_states=embedded[kinds]).sample
        before = one_step_on(noisy, guess, steps_back, training.shares, fresh)[:2]
        torch.testing.assert_close(fine[2], decode(plate.base.vae, before)[1][2], atol=1e-3, rtol=1e-3)
    drawn = torch.cat([batch(plate.ctx, index)[2] for index in range(20)])
    assert drawn.max() > 500  # of all times, not the last 120


def test_with_a_frozen_unet_only_tokens_are_learned(context, split, tmp_path, base_folder) -> None:
    from safetensors.torch import load_file

    options = {**TINY, **LESS, "unet": "frozen"}
    SeaS.configure(None, options).fit(split, tmp_path / "model", context())
    computed = load_file(tmp_path / "model" / "plate" / "0" / "unet.safetensors")
    base = load_file(base_folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(computed[name], base[name]) for name in base)


def test_empty_masks_stay_empty_and_can_be_stored(learned, split, context, tmp_path) -> None:
    from bench.methods.samples import read_samples, write_samples

    part = Request("plate", "hole", range(2))
    for keep in (True, False):
        how = {"empty_masks": "keep" if keep else "redraw", "threshold": 0.999999}
        seas = SeaS.configure(None, {**SMALL, **LESS, **how})
        samples = list(seas.sample(learned, split, part, context(stage="generator.sample")))
        assert [bool(sample.mask.any()) for sample in samples] == [not keep] * 2
        assert seas.may_be_empty is keep
        write_samples(
            tmp_path / "set.zip", part, iter(samples), generator="seas", may_be_empty=seas.may_be_empty
        )
        assert len(list(read_samples(tmp_path / "set.zip"))) == 2
        if keep:
            with pytest.raises(BenchError, match="has an empty mask"):
                write_samples(tmp_path / "no.zip", part, iter(samples), generator="seas")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mask_network": "released", "refinement": "single"}, "one refinement, progressive with module c"),
        ({"mask_network": "released", "mask_features": (1, 2, 3)}, "takes two mask_features"),
        ({"unet": "frozen", "prompt": "typical"}, "nothing is learned"),
    ],
)
def test_what_the_release_cannot_do_is_refused(options, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        SeaS.configure(None, options)


def test_visa_and_3d_have_the_rules_that_the_release_ties_to_their_paths() -> None:
    for name, guidance, augmentation in (("visa", 2.0, "none"), ("3d", 5.0, "turns")):
        for preset in (name, f"released-{name}"):
            params = SeaS.configure(preset).params
            assert (params.guidance, params.augmentation) == (guidance, augmentation)
            assert (params.coarse_target, params.suppressed_cells) == ("scaled-truncated", "part")
    released = SeaS.configure("released-visa").params.model_dump()
    assert all(released[name] == value for name, value in RELEASED.items() if name != "coarse_target")
