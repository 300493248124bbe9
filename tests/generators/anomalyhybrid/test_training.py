import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.methods import TrainSplit
from bench.methods.training import OutOfTime, TrainingFailed
from generators.anomalyhybrid import AnomalyHybrid, AnomalyHybridStar
from generators.anomalyhybrid.batches import TrainingSet
from generators.anomalyhybrid.conditions import open_views


class Killed(BaseException):
    """Stands for a signal that arrives in the middle of training."""


def kill_at(step: int):
    def progress(done: int, total: int, note: str = "") -> None:
        if done == step:
            raise Killed

    return progress


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "rgb" / "generator.safetensors")


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_killed_fit_goes_on_to_the_weights_of_an_undisturbed_one(split, context_for, tmp_path) -> None:
    adapter = AnomalyHybrid.configure("tiny")
    adapter.fit(split, folder(tmp_path / "whole"), context_for(scratch="whole-scratch"))
    with pytest.raises(Killed):
        adapter.fit(split, folder(tmp_path / "killed"), context_for(progress=kill_at(3)))
    seen: list[int] = []
    resumed = context_for(progress=lambda done, total, note="": seen.append(done))
    adapter.fit(split, folder(tmp_path / "again"), resumed)
    assert seen == [4, 5, 6]
    whole, again = weights(tmp_path / "whole"), weights(tmp_path / "again")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert (tmp_path / "whole/rgb/trace.csv").read_text() == (tmp_path / "again/rgb/trace.csv").read_text()


def test_a_deadline_stops_the_fit_and_keeps_what_was_done(split, context_for, tmp_path) -> None:
    with pytest.raises(OutOfTime, match="at step 1 of 6"):
        AnomalyHybrid.configure("tiny").fit(split, folder(tmp_path / "a"), context_for(deadline=1.0))
    assert (tmp_path / "scratch" / "rgb.checkpoint").is_file()


def test_a_loss_that_is_no_number_stops_the_fit(split, context_for, tmp_path) -> None:
    options = {"learning_rate": 0.1, "steps": 400, "pixel_weight": 100.0, "norm": "batch"}
    adapter = AnomalyHybrid.configure("tiny", options)
    context = context_for()
    with pytest.raises(Killed):
        adapter.fit(split, folder(tmp_path / "a"), context_for(progress=kill_at(1)))
    checkpoint = tmp_path / "scratch" / "rgb.checkpoint"
    content = torch.load(checkpoint, weights_only=True)
    content["state"]["generator"]["encoder.scales.0.1.weight"][:] = float("inf")
    torch.save(content, checkpoint)
    with pytest.raises(
        TrainingFailed, match=r"image loss of 'anomalyhybrid' is (nan|inf) at step 2 of 400 \(rgb\); lower"
    ):
        adapter.fit(split, folder(tmp_path / "b"), context)


def test_images_that_become_far_worse_stop_the_fit(split, context_for, tmp_path) -> None:
    adapter = AnomalyHybrid.configure("tiny", {"steps": 30})
    with pytest.raises(Killed):
        adapter.fit(split, folder(tmp_path / "a"), context_for(progress=kill_at(19)))
    checkpoint = tmp_path / "scratch" / "rgb.checkpoint"
    content = torch.load(checkpoint, weights_only=True)
    for losses in content["trace"][:10]:
        losses["image"] /= 100
    torch.save(content, checkpoint)
    with pytest.raises(TrainingFailed, match=r"diverges: .* at step 20 of 30, .* at the start; lower"):
        adapter.fit(split, folder(tmp_path / "b"), context_for())


def test_the_model_folder_says_how_it_was_made(split: TrainSplit, context_for, tmp_path: Path) -> None:
    AnomalyHybridStar.configure("tiny").fit(split, tmp_path, context_for())
    assert json.loads((tmp_path / "params.json").read_text())["edges"] == "canny"
    assert (tmp_path / "rgb/trace.csv").read_text().startswith("step,image,adversarial,discriminator\n1,")
    assert load_file(tmp_path / "star/generator.safetensors")["texture.ahd.last.1.weight"].shape[0] == 1
    edges = np.load(tmp_path / "conditions/plate/real.edges.npy")
    assert edges.shape == (6, 64, 64) and edges.dtype == np.uint8


@pytest.fixture
def training_set(split: TrainSplit, context_for, tmp_path: Path) -> TrainingSet:
    AnomalyHybrid.configure("tiny", {"steps": 1}).fit(split, tmp_path, context_for())
    views = [
        open_views(category, tmp_path / "conditions" / name) for name, category in split.categories.items()
    ]
    return TrainingSet.of(views, [[0, 1, 2]] * 2)


def test_targets_share_the_augmentation_of_their_condition(training_set: TrainingSet) -> None:
    params = AnomalyHybrid.configure("tiny", {"tps": 0, "resize": 0, "flip": 1}).params
    examples = training_set.draw(params, False, np.random.default_rng(0))
    # all three conditions are mirrored on both axes, so colours and targets are equal
    torch.testing.assert_close(examples.targets["ahd"], examples.conditions[:, :3])
    params = AnomalyHybrid.configure("tiny").params
    examples = training_set.draw(params, False, np.random.default_rng(0))
    assert (examples.targets["ahd"] - examples.targets["ahe"]).abs().max() > 0.1
    assert examples.contents["ahd"].equal(examples.conditions[:, :3])


@pytest.mark.parametrize("gan", ["lsgan", "log"])
def test_a_step_has_the_losses_of_eq_2_to_4_on_both_decoders(training_set, context_for, gan: str) -> None:
    from generators.anomalyhybrid.losses import perceptual_loss
    from generators.anomalyhybrid.training import _begin, _step

    params = AnomalyHybrid.configure("tiny", {"gan": gan, "perceptual_weight": 3.0}).params
    state, images = _begin(params, context_for(), False), perceptual_loss(params, None)
    examples = training_set.draw(params, False, np.random.default_rng(0))

    def cost(values: list[torch.Tensor], real: bool) -> torch.Tensor:
        """What the discriminator's patches cost, the mean over them: of squares, or of Eq. 3's logarithms."""
        (value,) = values  # the tiny preset has one scale
        if gan == "lsgan":
            return (value - float(real)).square().mean()
        share = torch.sigmoid(value)
        return -(share if real else 1 - share).log().mean()

    with torch.no_grad():
        made = state.generator(examples.conditions, examples.contents)
        fooling, telling = [], []
        for name in ("ahd", "ahe"):
            judged = state.discriminator(examples.conditions, made[name].image)  # D(C, G(C))
            known = state.discriminator(examples.conditions, examples.targets[name])  # D(C, A)
            fooling.append(cost(judged, True))
            telling.append((cost(known, True) + cost(judged, False)) / 2)
        fakes, targets = (
            torch.cat([held[name] for name in ("ahd", "ahe")])
            for held in ({name: each.image for name, each in made.items()}, examples.targets)
        )
        likeness = 3.0 * images(fakes, targets)
    expected = [float(likeness), *(float(torch.stack(each).mean()) for each in (fooling, telling))]
    got = _step(params, state, state.generator, images, examples, "cpu")
    assert got == pytest.approx(expected, rel=1e-4)


def test_the_star_learns_maps_of_the_target_image(training_set: TrainingSet) -> None:
    params = AnomalyHybrid.configure("tiny", {"tps": 0, "resize": 0, "flip": 0}).params
    examples = training_set.draw(params, True, np.random.default_rng(0))
    for channel, name in ((3, "ahd"), (4, "ahe")):
        torch.testing.assert_close(
            examples.targets[name], examples.conditions[:, channel : channel + 1] * 2 - 1
        )
        assert examples.contents[name].shape[1] == 1


def test_real_defects_have_their_share(training_set: TrainingSet) -> None:
    def rows(**options: object) -> int:
        params = AnomalyHybrid.configure("tiny", {"batch_size": 1, **options}).params
        draws = [training_set._one(params, np.random.default_rng(seed))[0].tobytes() for seed in range(60)]
        return len(set(draws))

    assert rows(defect_share=0.0) <= 12  # normal images alone
    assert rows(defect_share=1.0) <= 6  # the three real ones of two categories
    assert rows() > 12
