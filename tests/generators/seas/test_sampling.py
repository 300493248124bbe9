"""Inference of 3.4, against a loop written from the text."""

from pathlib import Path

import numpy as np
import pytest

from bench.conformance.checks import contents
from bench.errors import BenchError
from bench.methods import Request
from generators.seas import SeaS
from generators.seas.params import ABLATIONS, TINY, SeaSParams

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory, weights, split) -> Path:
    from bench.methods.context import Context

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model")
    ctx = Context(0, "generator.fit", "seas", "plate", "cpu", folder, weights)
    SeaS.configure("tiny").fit(split, folder / "model", ctx)
    return folder / "model"


@pytest.fixture
def sampler(model, base_folder, context):
    from generators.seas.sampling import load_sampler

    def make(defect: str = "stain", **options):
        params = SeaSParams(**{**TINY, **options})
        parts = [["hole", "stain"]]
        return load_sampler(params, model / "plate", parts, "plate", defect, base_folder, context())

    return make


@pytest.fixture
def batch(split):
    """Two normal images and noise for their latents."""
    images = np.stack([split.categories["plate"].normal[row] for row in (0, 1)])
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return images, noise


@pytest.mark.parametrize("scaled", [True, False], ids=["paper", "released"])
def test_the_start_is_a_normal_image_noised_by_the_longer_schedule(sampler, batch, scaled: bool) -> None:
    held = sampler(scale_start=scaled)
    images, noise = batch
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 * 2 - 1
    with torch.no_grad():
        got = held.start(images, noise)
        clean = held.vae.encode(pixels).latent_dist.mean
    clean = clean * held.vae.config.scaling_factor if scaled else clean
    share = 1.0
    for beta in np.linspace(0.00085**0.5, 0.012**0.5, 1500) ** 2:
        share *= 1 - beta
    torch.testing.assert_close(got, share**0.5 * clean + (1 - share) ** 0.5 * noise, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("steps", [5, 25], ids=["few", "paper"])
def test_denoising_is_that_of_the_text(sampler, batch, steps: int) -> None:
    """Guided noise, the solver's steps, and the mask as the mean of the branch over the last three."""
    from diffusers import DPMSolverMultistepScheduler

    from generators.seas.features import decode, noise_and_features

    held = sampler(sampling_steps=steps, guidance=3.0)
    images, noise = batch
    made = held.make(images, noise)
    solver = DPMSolverMultistepScheduler.from_config(dict(held.schedule))
    solver.set_timesteps(steps)
    masks = []
    with torch.no_grad():
        latents = held.start(images, noise)
        for number, time in enumerate(solver.timesteps):
            without, _ = noise_and_features(
                held.unet, (2, 3), latents, time, held.prompts[:1].repeat(2, 1, 1)
            )
            with_it, coarse = noise_and_features(
                held.unet, (2, 3), latents, time, held.prompts[1:].repeat(2, 1, 1)
            )
            guided = without + 3.0 * (with_it - without)
            if number >= steps - 3:
                share = held.shares[int(time)].float()
                clean = (latents - (1 - share).sqrt() * guided) / share.sqrt()
                _, fine = decode(held.vae, clean)
                masks.append(held.branch(coarse, fine, 64)[1].softmax(1)[:, 1])
            latents = solver.step(guided, time, latents).prev_sample
        final, _ = decode(held.vae, latents)
    torch.testing.assert_close(made.images, final, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(made.probabilities, sum(masks) / 3, atol=1e-4, rtol=1e-4)


def test_normal_images_come_from_the_normal_prompt_and_have_no_mask(sampler, batch) -> None:
    good, stain = sampler("good"), sampler("stain")
    assert good.branch is None
    assert good.make(*batch).probabilities is None
    assert not torch.equal(good.prompts[1], stain.prompts[1])
    torch.testing.assert_close(good.prompts[0], stain.prompts[0])


def draw(model, split, context, defect="stain", count=3, **options) -> list:
    seas = SeaS.configure("tiny", options)
    ctx = context(stage="generator.sample")
    return list(seas.sample(model, split, Request("plate", defect, range(count)), ctx))


def started_with(monkeypatch) -> list:
    """The normal images that batches start from, as they are asked for."""
    from generators.seas.sampling import Sampler

    seen: list = []
    start = Sampler.start

    def watch(self, images, noise):
        seen.extend(images)
        return start(self, images, noise)

    monkeypatch.setattr(Sampler, "start", watch)
    return seen


def test_starts_are_drawn_from_all_normals_and_as_released_are_the_first_batch(
    model, split, context, monkeypatch
) -> None:
    import json

    normal = json.loads((model / "plate" / "product.json").read_text())["normal"]
    images = split.categories["plate"].normal
    seen = started_with(monkeypatch)
    draw(model, split, context, "good", 12, sampling_steps=3, mask_steps=1)
    assert len({image.tobytes() for image in seen}) > 2
    seen.clear()
    draw(model, split, context, "good", 6, sampling_steps=3, mask_steps=1, start_images="first-batch")
    for place, image in enumerate(seen):
        np.testing.assert_array_equal(image, images[normal[place % 2]])


def test_a_mask_that_stays_empty_is_where_the_anomaly_is_most_probable(model, split, context) -> None:
    samples = draw(model, split, context, threshold=0.999999, empty_masks="redraw")
    for sample in samples:
        assert 1 <= sample.mask.sum() <= 0.01 * sample.mask.size


def test_a_lower_threshold_gives_larger_masks(model, split, context) -> None:
    low, high = (draw(model, split, context, threshold=threshold, count=2) for threshold in (0.05, 0.9))
    assert sum(s.mask.sum() for s in low) > sum(s.mask.sum() for s in high)


def test_images_are_given_at_the_resolution_of_the_split(model, split, context) -> None:
    from dataclasses import replace

    seas = SeaS.configure("tiny")
    for resolution in (48, 96):
        other = replace(split, resolution=resolution)
        ctx = context(stage="generator.sample")
        (sample,) = seas.sample(model, other, Request("plate", "hole", range(1)), ctx)
        assert sample.image.shape == (resolution, resolution, 3)
        assert sample.mask.shape == (resolution, resolution)


def test_a_type_that_was_not_learned_is_refused(model, base_folder, context) -> None:
    from generators.seas.sampling import load_sampler

    with pytest.raises(BenchError, match="has not learned 'crack' of 'plate', only hole, stain"):
        load_sampler(
            SeaSParams(**TINY), model / "plate", [["hole", "stain"]], "plate", "crack", base_folder, context()
        )


def test_small_masks_keep_what_they_cover_most() -> None:
    from generators.seas.sampling import sized_mask

    mask = np.zeros((64, 64), dtype=bool)
    mask[5, 5] = True
    small = sized_mask(mask, 16)
    assert small.sum() == 1
    assert small[1, 1]


LESS = {"steps_per_type": 1, "mask_steps_per_type": 1, "sampling_steps": 3}
LEARNED = {name: given for name, given in ABLATIONS.items() if given and "threshold" not in given}
"""The rows of the paper's ablations that are another training than the paper's."""


@pytest.fixture(scope="module")
def papers(tmp_path_factory, weights, split) -> dict[str, bytes]:
    """The files of the model that the paper's own options learn in as few steps."""
    from bench.methods.context import Context

    folder = tmp_path_factory.mktemp("papers")
    ctx = Context(0, "generator.fit", "seas", "plate", "cpu", folder, weights)
    SeaS.configure("tiny", LESS).fit(split, folder / "model", ctx)
    return contents(folder / "model")


@pytest.mark.parametrize("name", LEARNED)
def test_each_ablation_of_the_paper_learns_otherwise_and_samples(
    context, split, tmp_path: Path, papers, name: str
) -> None:
    options = {**LESS, **LEARNED[name]}
    SeaS.configure("tiny", options).fit(split, tmp_path / "model", context())
    assert contents(tmp_path / "model") != papers
    (sample,) = draw(tmp_path / "model", split, context, count=1, **options)
    assert sample.image.shape == (64, 64, 3)
    assert sample.mask.shape == (64, 64)


@pytest.mark.parametrize(
    "options",
    [
        {"attention_norm": "none", "squared_norm": "sum"},
        {"refinement": "single", "fine_features": "vae-encoder"},
        {"augmentation": "none", "anomalies": 1, "normals": 2},
        {"unet": "frozen"},
    ],
    ids=["to the letter", "one module of the encoder", "few images", "textual inversion"],
)
def test_other_options_learn_otherwise_and_sample(context, split, tmp_path: Path, papers, options) -> None:
    less = {**LESS, **options}
    SeaS.configure("tiny", less).fit(split, tmp_path / "model", context())
    assert contents(tmp_path / "model") != papers
    (sample,) = draw(tmp_path / "model", split, context, count=1, **less)
    assert sample.image.shape == (64, 64, 3)
