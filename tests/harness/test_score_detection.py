"""The scorer of predictions: every value by metric and dialect, on small maps."""

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
from bench.stages import replicates, score_detection
from bench.stages.score_detection import ScoreDetection
from bench.stages.stage import Output, StageRun

SIDE, DEFECTIVE, GOOD = 24, 8, 20


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Output]:
    """A pool of defective and good images, maps of them, and their masks under every rule."""
    rng = np.random.default_rng(0)
    images = DEFECTIVE + GOOD
    masks = np.zeros((images, SIDE, SIDE), bool)
    for mask in masks[:DEFECTIVE]:
        y, x = rng.integers(0, SIDE - 8, 2)
        mask[y : y + 7, x : x + 5] = True
    for name in ("test", "prediction", "truth"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "test" / "images.npy", np.zeros((images, SIDE, SIDE, 3), np.uint8))
    np.save(tmp_path / "test" / "masks.npy", masks)
    items = [{"defect": "dent" if row < DEFECTIVE else "good", "stem": f"{row:03d}"} for row in range(images)]
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
        draws = np.load(out / "replicates" / f"{level}.{metric}.npy")
        assert (record.status, len(draws)) == ("ok", 40)
        assert record.ci_low <= np.median(draws) <= record.ci_high
        assert record.ci_low <= record.value <= record.ci_high
        assert record.ci_low < record.ci_high
        assert 7 <= record.df <= DEFECTIVE + GOOD
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
        if dialect.scoring is not None and name != "default" and not dialect.unrecorded
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
    records = rows(out / "records.jsonl").values()
    undefined = [record for record in records if record.level == "pixel"]
    assert {record.status for record in undefined} == {"undefined"}
    assert {record.note for record in undefined} == {
        "no test mask has a defect pixel at 24x24, so pixel metrics are undefined"
    }
    assert {record.status for record in records if record.level == "image"} == {"ok"}


def test_defects_that_vanish_in_some_masks_are_counted_and_the_others_are_scored(score, inputs):
    path = inputs["test"].folder / "masks.npy"
    masks = np.load(path)
    masks[:5] = False
    np.save(path, masks)
    out = score()
    records = rows(out / "records.jsonl")
    assert {record.status for record in records.values()} == {"ok"}
    notes = {record.note for record in records.values() if record.level == "pixel"}
    assert notes == {"5 of 8 defective images have an empty mask at 24x24"}
    for metric in ("ap", "aupro"):
        assert np.isfinite(np.load(out / "replicates" / f"pixel.{metric}.npy")).all()
    assert 2 <= records["pixel", "ap", "default"].df < DEFECTIVE + GOOD - 2


def test_masks_that_are_all_full_leave_pixel_metrics_undefined(score, inputs):
    path = inputs["test"].folder / "masks.npy"
    np.save(path, np.ones_like(np.load(path)))
    pixel = [record for record in rows(score() / "records.jsonl").values() if record.level == "pixel"]
    assert {record.note for record in pixel} == {
        "the test masks mark every pixel of every image at 24x24, so pixel metrics are undefined"
    }


def test_one_image_with_other_pixels_among_full_masks_is_in_every_resample(score, inputs):
    path = inputs["test"].folder / "masks.npy"
    masks = np.ones_like(np.load(path))
    masks[0, :4] = False
    np.save(path, masks)
    record = rows(score() / "records.jsonl")["pixel", "auroc", "default"]
    assert (record.status, record.stderr, record.df) == ("ok", None, 0.0)
    assert record.ci_low < record.value < record.ci_high


def test_test_images_of_one_class_leave_image_metrics_undefined_and_pixel_metrics_not(score, inputs):
    path = inputs["test"].folder / "index.json"
    items = [{**item, "defect": "dent"} for item in json.loads(path.read_text())]
    path.write_text(json.dumps(items))
    records = rows(score() / "records.jsonl").values()
    status = {(record.level, record.status) for record in records}
    assert status == {("image", "undefined"), ("pixel", "ok")}


def test_where_masks_are_as_the_labels_say_both_levels_share_their_resamples(inputs):
    masks = np.load(inputs["test"].folder / "masks.npy")
    anomalous = np.arange(DEFECTIVE + GOOD) < DEFECTIVE
    by_label, by_mask = (
        replicates.test_resamples("c", strata, 50)
        for strata in (anomalous, score_detection.mask_strata(masks))
    )
    assert np.array_equal(by_label.counts, by_mask.counts)


def test_fewer_than_twenty_normal_images_leave_recall_at_a_rate_undefined(score, inputs):
    for name in ("test/images", "test/masks", "prediction/amaps"):
        path = inputs["test"].folder.parent / f"{name}.npy"
        np.save(path, np.load(path)[:-1])
    for path in inputs["truth"].folder.glob("*.npy"):
        np.save(path, np.load(path)[:-1])
    path = inputs["test"].folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:-1]))
    records = rows(score() / "records.jsonl")
    recall = records.pop(("image", "recall_at_tnr95", "default"))
    assert (recall.status, recall.value) == ("undefined", None)
    assert recall.note == "19 normal images are too few for a true negative rate of 0.95; it needs 20"
    assert {record.status for record in records.values()} == {"ok"}


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
