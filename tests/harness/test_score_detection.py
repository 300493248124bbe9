"""The scorer of predictions: every value by metric and dialect, on twelve small maps."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.metrics import MASK_DIALECTS, image_metrics, pixel_metrics, recall_at_tnr
from bench.record import catalogue
from bench.record.record import Record, read_records
from bench.stages.score_detection import ScoreDetection
from bench.stages.stage import Output, StageRun

SIDE = 24


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Output]:
    """A pool of eight defective and four good images, maps of them, and their masks under every rule."""
    rng = np.random.default_rng(0)
    masks = np.zeros((12, SIDE, SIDE), bool)
    for mask in masks[:8]:
        y, x = rng.integers(0, SIDE - 8, 2)
        mask[y : y + 7, x : x + 5] = True
    for name in ("test", "prediction", "truth"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "test" / "images.npy", np.zeros((12, SIDE, SIDE, 3), np.uint8))
    np.save(tmp_path / "test" / "masks.npy", masks)
    items = [{"defect": "dent" if row < 8 else "good", "stem": f"{row:03d}"} for row in range(12)]
    (tmp_path / "test" / "index.json").write_text(json.dumps(items))
    maps = (0.6 * rng.random(masks.shape) + 0.3 * masks).astype(np.float32)
    np.save(tmp_path / "prediction" / "amaps.npy", maps)
    for rule in MASK_DIALECTS:
        np.save(tmp_path / "truth" / f"{rule}.npy", masks)
    return {name: Output(tmp_path / name, {"content": "c"}) for name in ("prediction", "test", "truth")}


@pytest.fixture
def score(inputs: dict[str, Output], tmp_path: Path) -> Callable[[], Path]:
    """Run the stage; returns its folder."""

    def run() -> Path:
        out = tmp_path / "out"
        out.mkdir()
        params = {"labels": {"category": "washer", "detector": "unet"}, "replicates": 40}
        ScoreDetection(**inputs).run(StageRun(params, "", tmp_path, out, None))
        return out

    return run


def rows(path: Path) -> dict[tuple[str, str, str], Record]:
    return {(record.level, record.metric, record.dialect): record for record in read_records(path)}


def test_the_exact_rules_have_an_interval_and_replicates_for_every_planned_metric(score, inputs):
    out = score()
    records = rows(out / "records.jsonl")
    assert list(records) == [(*named, "default") for named in catalogue.planned("image", "pixel")]
    for (level, metric, _), record in records.items():
        replicates = np.load(out / "replicates" / f"{level}.{metric}.npy")
        assert (record.status, len(replicates)) == ("ok", 40)
        assert record.ci_low <= np.median(replicates) <= record.ci_high
    maps = np.load(inputs["prediction"].folder / "amaps.npy")
    masks = np.load(inputs["test"].folder / "masks.npy")
    scores, labels = maps.max(axis=(1, 2)), masks.any(axis=(1, 2))
    exact = {("pixel", name): value for name, value in pixel_metrics(maps, masks).items()}
    exact |= {("image", name): value for name, value in image_metrics(scores, labels).items()}
    exact["image", "recall_at_tnr95"] = recall_at_tnr(scores, labels)["recall"]
    assert {named[:2]: record.value for named, record in records.items()}.items() <= exact.items()


def test_other_dialects_are_apart_and_have_neither_interval_nor_replicates(score):
    dialects = rows(score() / "dialects.jsonl")
    assert {dialect for *_, dialect in dialects} == {
        name
        for name, dialect in catalogue.dialects().items()
        if dialect.scoring is not None and name != "default"
    }
    assert all(record.ci_low is None for record in dialects.values())
    # the rules of masks make no difference here, since all masks were prepared alike
    assert dialects["pixel", "aupro", "truncate"].value == dialects["pixel", "aupro", "ader"].value


def test_curves_of_both_levels_begin_and_end_at_the_corners(score):
    curves = json.loads((score() / "curves.json").read_text())
    assert set(curves) == {"image", "pixel"}
    assert all(curve["roc"][0] == [0.0, 0.0] and curve["roc"][-1] == [1.0, 1.0] for curve in curves.values())


def test_without_a_map_pixel_metrics_are_skipped_and_image_metrics_are_not(score, inputs):
    folder = inputs["prediction"].folder
    np.save(folder / "scores.npy", np.load(folder / "amaps.npy").max(axis=(1, 2)))
    (folder / "amaps.npy").unlink()
    records = rows(score() / "records.jsonl")
    status = {(level, record.status) for (level, *_), record in records.items()}
    assert status == {("image", "ok"), ("pixel", "skipped")}


def test_where_no_mask_has_a_pixel_pixel_metrics_are_undefined_and_say_so(score, inputs):
    path = inputs["test"].folder / "masks.npy"
    np.save(path, np.zeros_like(np.load(path)))
    out = score()
    undefined = [record for record in rows(out / "records.jsonl").values() if record.level == "pixel"]
    assert {record.status for record in undefined} == {"undefined"}
    assert {record.note for record in undefined} == {
        "the masks holds no positive, so ranking metrics are undefined"
    }


def test_without_masks_images_are_scored_and_pixels_undefined_with_the_reason(score, inputs):
    with_masks = rows(score() / "records.jsonl")
    (inputs["test"].folder / "masks.npy").unlink()
    shutil.rmtree(inputs["test"].folder.parent / "out")
    records = rows(score() / "records.jsonl")
    for (level, metric, dialect), record in records.items():
        if level == "image":
            assert record == with_masks[level, metric, dialect]
        else:
            assert (record.status, record.note) == ("undefined", "the test images have no masks")


SMALL_SCORE = """
import sys
from pathlib import Path
from bench.stages.score_detection import ScoreDetection
from bench.stages.stage import Output, StageRun

folder = Path(sys.argv[1])
inputs = {name: Output(folder / name, {"content": "c"}) for name in ("prediction", "test", "truth")}
out = folder / "out"
out.mkdir()
params = {"labels": {"category": "washer", "detector": "unet"}, "replicates": 40}
ScoreDetection(**inputs).run(StageRun(params, "", folder, out, None))
for module in ScoreDetection.imports:
    __import__(module)
print("numba" in sys.modules)
"""


def test_a_small_score_compiles_nothing(inputs, tmp_path):
    words = [sys.executable, "-c", SMALL_SCORE, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
