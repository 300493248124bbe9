"""Training: it learns, it goes on after a kill to the same bytes, it keeps the model that is chosen."""

import itertools
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.metrics import average_precision_score

from bench.conformance.blob_split import blob_split
from bench.errors import BenchError
from bench.methods import Batch, DetectorSplit
from bench.methods.training import OutOfTime, TrainingFailed, loop
from bench.methods.training.selection import Scores
from bench.metrics import image_scores
from detectors.resnet34 import ResNet34
from detectors.segmenters.unet import UNet
from detectors.segmenters.unet_draem import UNetDraem

SMALL = {"base_width": 2, "epochs": 3, "epoch_size": 8, "batch_size": 4}


def trace(model: Path) -> np.ndarray:
    """step, loss, learning rate."""
    return np.loadtxt(model / "trace.csv", delimiter=",", skiprows=1)


def test_a_unet_learns_an_easy_defect_to_an_average_precision_over_nine_tenths(
    blobs, context, tmp_path
) -> None:
    options = {
        "epochs": 1,
        "epoch_size": 320,
        "learning_rate": 4e-3,
        "schedule": "one_cycle",
        "base_width": 8,
    }
    detector = UNetDraem.configure("tiny", options)
    detector.fit(blobs, tmp_path / "model", context())
    losses = trace(tmp_path / "model")[:, 1]
    assert losses[-10:].mean() < losses[:10].mean() / 3
    test = blob_split(64, seed=1)
    truth, maps = [], []
    for pool in (*test.real.values(), *test.normal.values()):
        [said] = detector.predict(tmp_path / "model", [Batch(pool.images)], context())
        maps.append(said.amap)
        truth.append([pool.mask(row) for row in range(len(pool))])
    assert average_precision_score(np.concatenate(truth).ravel(), np.concatenate(maps).ravel()) > 0.9


def test_a_resnet34_learns_easy_classes_from_anomalies_alone(context, tmp_path) -> None:
    blobs = blob_split(32)
    options = {
        "epochs": 1,
        "epoch_size": 400,
        "batch_size": 8,
        "learning_rate": 3e-4,
        "schedule": "one_cycle",
        "recalibration_batches": 8,
    }
    detector = ResNet34.configure("tiny", options)
    detector.fit(blobs, tmp_path / "model", context())
    batch = blobs.draw_anomalies(np.random.Generator(np.random.PCG64(5)), 24)
    [said] = detector.predict(tmp_path / "model", [batch], context())
    assert np.mean(said.logits.argmax(axis=1) == batch.labels) > 0.8


def test_an_epoch_of_the_classifier_is_five_times_its_anomalous_images(blobs: DetectorSplit) -> None:
    schedule = ResNet34.configure(None, {"init_weights": "random"}).training_schedule(blobs)
    assert schedule.epoch == -(-5 * 24 // 8)
    assert schedule.steps == 30 * schedule.epoch
    assert schedule.anomalies_only


@pytest.mark.parametrize("kill_at", [1, 4])
def test_a_killed_fit_goes_on_from_its_last_checkpoint_to_the_same_bytes(
    blobs, context, tmp_path, monkeypatch, kill_at
) -> None:
    """A kill leaves no time to save: what is there is the checkpoint of the clock, here every step."""
    detector = UNetDraem.configure("tiny", SMALL)
    detector.fit(blobs, tmp_path / "whole", context("whole"))
    monkeypatch.setattr(time, "monotonic", itertools.count(step=2 * loop.CHECKPOINT_SECONDS).__next__)

    def kill(done: int, total: int, note: str = "") -> None:
        if done > kill_at:
            monkeypatch.setattr(loop, "_save", lambda *_: None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detector.fit(blobs, tmp_path / "first", context("cut", progress=kill))
    monkeypatch.undo()
    steps: list[int] = []
    again = context("cut", progress=lambda done, total, note="": steps.append(done))
    detector.fit(blobs, tmp_path / "second", again)
    assert steps[0] == kill_at + 1
    for name in ("model.safetensors", "trace.csv", "selection.json"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_best_model_of_the_harness_is_kept_even_across_an_interruption(blobs, context, tmp_path) -> None:
    detector = UNetDraem.configure("tiny", SMALL)
    offered: dict[int, dict[str, np.ndarray]] = {}

    def score(model: Path) -> float:
        offered[len(offered)] = load_file(model / "model.safetensors")
        return [0.2, 0.7, 0.5][len(offered) - 1]

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detector.fit(blobs, tmp_path / "model", context(validate=score, progress=stop))
    detector.fit(blobs, tmp_path / "model", context(validate=score))
    said = json.loads((tmp_path / "model" / "selection.json").read_text())
    assert said == {"rule": "best score of the harness", "epoch": 2, "score": 0.7, "scores": [0.2, 0.7, 0.5]}
    kept = load_file(tmp_path / "model" / "model.safetensors")
    assert all(np.array_equal(kept[name], value) for name, value in offered[1].items())


def test_a_harness_that_scores_nothing_is_asked_once_and_the_last_model_is_kept(
    blobs, context, tmp_path
) -> None:
    asked: list[Path] = []
    UNetDraem.configure("tiny", SMALL).fit(blobs, tmp_path / "model", context(validate=asked.append))
    assert len(asked) == 1
    said = json.loads((tmp_path / "model" / "selection.json").read_text())
    assert said == {"rule": "last", "epoch": 3, "score": None, "scores": []}


def test_a_score_that_is_no_number_never_wins_and_a_tie_keeps_the_earlier() -> None:
    scores = Scores()
    is_best = [scores.add(score) for score in (0.5, float("nan"), 0.5, 0.6, 0.6)]
    assert is_best == [True, False, False, True, False]
    assert scores.best_epoch == 4


def test_a_passed_deadline_stops_with_a_sentence_and_keeps_what_was_done(blobs, context, tmp_path) -> None:
    detector = UNetDraem.configure("tiny", SMALL)
    with pytest.raises(OutOfTime, match=r"deadline at step 1 of 6; run it again to go on"):
        detector.fit(blobs, tmp_path / "model", context(deadline=0.0))
    steps: list[int] = []
    detector.fit(blobs, tmp_path / "model", context(progress=lambda done, *_: steps.append(done)))
    assert steps == [2, 3, 4, 5, 6]


def test_a_loss_that_explodes_is_told_with_its_step_and_a_mend(blobs, context, tmp_path) -> None:
    detector = UNetDraem.configure("tiny", {**SMALL, "learning_rate": 1e30})
    with pytest.raises(
        TrainingFailed, match=r"loss of 'unet_draem' is nan at step \d of 6; lower its learning"
    ):
        detector.fit(blobs, tmp_path / "model", context())


def test_a_split_without_anomalies_is_refused_in_a_sentence(blobs, context, tmp_path) -> None:
    with pytest.raises(TrainingFailed, match="'unet_draem' has no anomalous example"):
        UNetDraem.configure("tiny").fit(replace(blobs, real={}, generated={}), tmp_path / "model", context())


def test_bfloat16_learns_nearly_the_same_and_predicts_float32(blobs, context, tmp_path) -> None:
    for precision in ("fp32", "bf16"):
        detector = UNetDraem.configure("tiny", {**SMALL, "precision": precision})
        detector.fit(blobs, tmp_path / precision, context(precision))
    fp32, bf16 = (trace(tmp_path / precision)[:, 1] for precision in ("fp32", "bf16"))
    assert not np.array_equal(fp32, bf16)
    assert np.allclose(fp32, bf16, rtol=0.1)
    [said] = detector.predict(tmp_path / "bf16", [Batch(blobs.real["disc"].images)], context())
    assert said.amap.dtype == np.float32


def test_the_parameters_in_the_model_folder_rule_the_prediction(blobs, context, tmp_path) -> None:
    UNetDraem.configure("tiny", SMALL).fit(blobs, tmp_path / "model", context())
    images = [Batch(blobs.real["disc"].images)]
    [by_stored] = UNetDraem.configure().predict(tmp_path / "model", images, context())
    [by_same] = UNetDraem.configure("tiny", SMALL).predict(tmp_path / "model", images, context())
    assert np.array_equal(by_stored.amap, by_same.amap)


def test_the_score_of_anomalydiffusions_unet_is_its_highest_mean_over_21_pixels_each_way(
    blobs, context, tmp_path
) -> None:
    UNetDraem.configure("tiny", SMALL).fit(blobs, tmp_path / "model", context())
    images = blobs.real["disc"].images
    [prediction] = UNetDraem.configure().predict(tmp_path / "model", [Batch(images)], context())
    assert prediction.score == pytest.approx(image_scores(prediction.amap, "pool21"), rel=1e-5)
    assert (prediction.score < image_scores(prediction.amap)).all()
    with pytest.raises(BenchError, match="odd"):
        UNetDraem.configure("tiny", {"score_window": 20})


def test_the_embedded_unet_starts_from_the_same_encoder_under_any_seed(context) -> None:
    states = []
    for seed in (0, 1):
        with replace(context(), seed=seed).torch_stream("init"):
            states.append(UNet.configure("quick").network(2, None, True).state_dict())
    same = {name for name in states[0] if states[0][name].equal(states[1][name])}
    assert {name for name in states[0] if name.startswith("encoder.")} <= same
    assert "decoder.blocks.0.conv1.0.weight" not in same
