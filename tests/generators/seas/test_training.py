"""What a step learns from and what it changes; and that a fit goes on after a kill to the same bytes."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from bench.conformance.checks import contents
from bench.errors import BenchError
from generators.seas import SeaS

torch = pytest.importorskip("torch")


def step_of(held, **given):
    """The gradients of one batch: parameter name to tensor, of the U-Net, the text side and the VAE."""
    from bench.methods.training import FitPart
    from generators.seas.fine_tuning import fine_tuning_fit

    fine_tuning_fit(held.stage, held.ctx, "seas", FitPart("unet", 0, 1), 1)  # says what needs a gradient
    values = held.stage.loss(*held.stage.batch(held.ctx, 0, 2, 2))
    values["loss"].backward()
    return values


def test_the_gradient_reaches_the_unet_and_the_new_rows_and_nothing_else(tuning) -> None:
    held = tuning()
    step_of(held)
    assert [name for name, p in held.base.unet.named_parameters() if p.grad is None] == []
    assert [p for p in held.text.parameters() if p.grad is not None] == [held.text.words.new]
    assert [name for name, p in held.base.vae.named_parameters() if p.grad is not None] == []


def test_only_rows_of_the_prompts_in_the_batch_get_a_gradient(tuning) -> None:
    held = tuning()
    step_of(held)
    poses = held.stage.batch(held.ctx, 0, 2, 2)[0]
    used = {0} | {1 + 4 * pose.kind + n for pose in poses if pose.kind >= 0 for n in range(4)}
    moved = {int(row) for row in held.text.words.new.grad.abs().sum(1).nonzero()}
    assert moved == used


def test_the_loss_is_the_sum_of_eq_3_to_6(tuning) -> None:
    values = step_of(tuning())
    parts = ("alignment", "suppression", "noise_abnormal", "noise_normal")
    assert values["loss"].item() == pytest.approx(sum(values[name].item() for name in parts))


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"normal_token_term": "none"}, {"alignment", "noise_abnormal", "noise_normal"}),
        ({"normal_token_term": "align"}, {"alignment", "background", "noise_abnormal", "noise_normal"}),
    ],
    ids=["no-second-term", "with-at"],
)
def test_ablations_of_the_loss_have_other_terms(tuning, options, parts) -> None:
    values = step_of(tuning(**options))
    assert {name for name in values if not name.endswith("side")} - {"loss"} == parts


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2, 2)] * 4),
        ({"normal_alignment": False}, [(2, 0)] * 4),
        ({"mixing": "abnormal-then-normal"}, [(4, 0), (4, 0), (0, 4), (0, 4)]),
        ({"mixing": "normal-then-abnormal"}, [(0, 4), (0, 4), (4, 0), (4, 0)]),
    ],
    ids=["mixed", "no-na", "abnormal-then-normal", "normal-then-abnormal"],
)
def test_batches_are_mixed_two_and_two(options, expected) -> None:
    from generators.seas.fine_tuning import composition
    from generators.seas.params import SeaSParams

    params = SeaSParams(**options)
    assert [composition(params, step, 4, types=3) for step in range(4)] == expected


def test_abnormal_images_of_a_batch_come_from_all_types_alike(tuning) -> None:
    from generators.seas.material import draw

    held = tuning()
    poses = draw(held.material, held.params, np.random.default_rng(0), 3000, 1000)
    kinds, counts = np.unique([pose.kind for pose in poses], return_counts=True)
    images = [len(rows) for rows in held.material.abnormal]
    assert kinds.tolist() == [-1, 0, 1]
    np.testing.assert_allclose(counts[1:] / 3000, np.array(images) / sum(images), atol=0.03)


def test_a_mask_turns_with_its_image(tuning) -> None:
    from generators.seas.material import Pose

    held = tuning()
    poses = set()
    for turn, mirror in itertools.product(range(4), range(3)):
        pose = Pose(0, held.material.abnormal[0][0], turn, mirror)
        image, mask = held.material.image(pose), held.material.mask(pose)
        # The hole is black in a bright plate; the mask lies on it in every pose.
        assert image[mask].mean() < image[~mask].mean() - 20
        poses.add(image.tobytes())
    assert len(poses) == 8


def test_latents_are_encoded_once_and_scaled(tuning) -> None:
    held = tuning()
    poses, _, _, jitter = held.stage.batch(held.ctx, 0, 2, 2)
    first = held.latents.draw(poses, jitter)
    held.base.vae.encode = None  # nothing may be encoded again
    torch.testing.assert_close(held.latents.draw(poses, jitter), first)
    still = held.latents.draw(poses, torch.zeros_like(jitter))
    mean, _ = held.latents._kept[poses[0]]
    torch.testing.assert_close(still[:1], mean * held.base.vae.config.scaling_factor)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, weights, split) -> Path:
    """A model of a fit that nothing stopped."""
    from bench.methods.context import Context

    folder = tmp_path_factory.mktemp("whole")
    ctx = Context(0, "generator.fit", "seas", "plate", "cpu", folder, weights)
    torch.set_num_threads(1)
    SeaS.configure("tiny").fit(split, folder / "model", ctx)
    return folder / "model"


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stop", [3, 8], ids=["in the U-Net", "in the mask branch"])
def test_a_fit_that_was_stopped_goes_on_to_the_same_bytes(context, split, whole, tmp_path, stop: int) -> None:
    def progress(done: int, total: int, note: str = "") -> None:
        if done == stop:
            raise Stopped

    with pytest.raises(Stopped):
        SeaS.configure("tiny").fit(split, tmp_path / "first", context(progress=progress))
    SeaS.configure("tiny").fit(split, tmp_path / "second", context())
    again = contents(tmp_path / "second")
    assert {name: len(data) for name, data in again.items()} == {
        name: len(data) for name, data in contents(whole).items()
    }
    assert again == contents(whole)


def test_the_deadline_keeps_what_was_done(context, split, tmp_path) -> None:
    with pytest.raises(BenchError, match=r"deadline at step 1 of \d+ \(plate-0-unet\)"):
        SeaS.configure("tiny").fit(split, tmp_path / "model", context(deadline=1.0))
    assert (tmp_path / "scratch" / "plate-0-unet.checkpoint").exists()


def test_a_model_holds_safetensors_and_text_alone(whole: Path) -> None:
    names = {path.name for path in whole.rglob("*") if path.is_file()}
    assert names == {
        *("product.json", "unet.safetensors", "words.safetensors", "mask.safetensors"),
        *("trace.csv", "mask_trace.csv"),
    }
    product = json.loads((whole / "plate" / "product.json").read_text())
    assert product["parts"] == [["hole", "stain"]]
    assert len(product["normal"]) == 6


def test_a_loss_that_is_no_number_ends_the_fit(context, split, tmp_path) -> None:
    seas = SeaS.configure("tiny", {"learning_rate": 1e30, "steps_per_type": 10})
    with pytest.raises(BenchError, match="lower its learning rate"):
        seas.fit(split, tmp_path / "model", context())


def test_types_without_a_mask_are_refused_before_anything_is_learned(context, split, tmp_path) -> None:
    from dataclasses import replace

    from bench.methods import Anomalies, TrainSplit

    category = split.categories["plate"]
    stains = category.anomalies["stain"]
    empty = [row for row, real in zip(stains.indices, stains, strict=True) if not real.mask.any()]
    bare = replace(category, anomalies={**category.anomalies, "stain": Anomalies(stains.pool, empty)})
    with pytest.raises(BenchError, match="every training mask of 'stain' of 'plate' is empty"):
        SeaS.configure("tiny").fit(TrainSplit({"plate": bare}, 64), tmp_path / "model", context())
