"""Fitting: normals alone, the same bytes after any interruption, defects above chance."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench.conformance.blob_split import blob_split
from bench.conformance.checks import contents
from bench.methods import Batch, DetectorSplit
from bench.methods.training import OutOfTime, TrainingFailed
from detectors.patchcore import coreset
from detectors.patchcore.adapter import PatchCore


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch) -> None:
    monkeypatch.setattr(coreset, "BLOCK", 64)


def test_defects_are_found_though_none_was_seen(blobs: DetectorSplit, context, tmp_path: Path) -> None:
    detector = PatchCore.configure("tiny")
    detector.fit(replace(blobs, real={}, generated={}), tmp_path, context())
    test = blob_split(64, seed=1)
    pools = [*test.normal.values(), *test.real.values()]
    said = list(detector.predict(tmp_path, [Batch(pool.images) for pool in pools], context()))
    masks = [np.stack([pool.mask(row) for row in range(len(pool))]) for pool in pools]
    truth, maps = np.concatenate(masks), np.concatenate([s.amap for s in said])
    assert roc_auc_score(truth.any(axis=(1, 2)), np.concatenate([s.score for s in said])) > 0.95
    assert roc_auc_score(truth.ravel(), maps.ravel()) > 0.9


def test_anomalous_images_change_nothing(blobs: DetectorSplit, context, tmp_path: Path) -> None:
    detector = PatchCore.configure("tiny")
    detector.fit(blobs, tmp_path / "with", context("scratch-one"))
    detector.fit(replace(blobs, real={}, generated={}), tmp_path / "without", context("scratch-two"))
    assert contents(tmp_path / "with") == contents(tmp_path / "without")


@pytest.mark.parametrize("variant", [{}, {"coreset": "anomalib"}])
@pytest.mark.parametrize("note", ["patches", "memory"])
def test_a_kill_while_patches_are_taken_or_chosen_costs_nothing_but_time(
    blobs, context, tmp_path: Path, note, variant
) -> None:
    detector = PatchCore.configure("tiny", {**variant, "batch_size": 4})
    detector.fit(blobs, tmp_path / "whole", context("scratch-whole"))
    seen: list[str] = []

    def stop(done: int, total: int, said: str = "") -> None:
        seen.append(said)
        if seen.count(note) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detector.fit(blobs, tmp_path / "again", context("scratch-cut", progress=stop))
    steps: list[tuple[int, str]] = []
    ctx = context("scratch-cut", progress=lambda done, total, said="": steps.append((done, said)))
    detector.fit(blobs, tmp_path / "again", ctx)
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")
    if note == "memory":
        assert {said for _, said in steps} == {"memory"}
    else:
        assert steps[0] == (12, "patches")


def test_a_passed_deadline_stops_with_a_sentence_and_keeps_what_was_done(
    blobs, context, tmp_path: Path
) -> None:
    detector = PatchCore.configure("tiny", {"batch_size": 4})
    with pytest.raises(OutOfTime, match=r"'patchcore' reached its deadline at step 4 of 204"):
        detector.fit(blobs, tmp_path, context(deadline=0.0))
    steps: list[int] = []
    ctx = context(progress=lambda done, total, said="": steps.append(done))
    detector.fit(blobs, tmp_path, ctx)
    assert steps[0] == 8
    assert json.loads((tmp_path / "memory.json").read_text()) == {
        "images": 12,
        "patches": 768,
        "remembered": 192,
    }


def test_without_a_normal_image_there_is_nothing_to_learn(blobs, context, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="no normal image"):
        PatchCore.configure("tiny").fit(replace(blobs, normal={}), tmp_path, context())


def test_a_share_that_keeps_no_patch_is_refused(blobs, context, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="raise coreset_share"):
        PatchCore.configure("tiny", {"coreset_share": 1e-6}).fit(blobs, tmp_path, context())


@pytest.mark.parametrize(
    "overrides",
    [{"coreset": "none"}, {"embedding": "amazon", "dimension": 128}, {"k": 3, "reweighting": 5}],
)
def test_every_option_fits_and_predicts(blobs, context, tmp_path: Path, overrides) -> None:
    detector = PatchCore.configure("tiny", overrides)
    detector.fit(blobs, tmp_path, context())
    [said] = detector.predict(tmp_path, [Batch(blobs.real["disc"].images)], context())
    assert said.amap.shape == (6, 64, 64) and said.score.shape == (6,)
    assert (said.amap > 0).all()
