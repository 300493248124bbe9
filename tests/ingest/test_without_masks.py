"""A data set without masks: images are scored, pixels are not, and what learns from masks is skipped."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench.data.check import check_dataset
from bench.data.layout import find_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, count in (("train/good", 3), ("test/good", 4), ("test/spot", 6), ("test/dent", 3)):
        (tmp_path / "data" / "tile" / part).mkdir(parents=True)
        for row in range(count):
            image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            image.save(tmp_path / "data" / "tile" / part / f"{row}.png")
    return tmp_path / "data"


def test_a_check_warns_once(data: Path) -> None:
    (problem,) = check_dataset(find_dataset(data)).problems
    assert (problem.severity, problem.kind, problem.path) == ("warning", "no-masks", "tile/ground_truth")


@pytest.mark.full
def test_image_metrics_are_there_and_pixel_metrics_undefined(data: Path, tmp_path: Path) -> None:
    for defect, rows in (("good", range(4)), ("spot", range(2, 6)), ("dent", range(1, 3))):
        (tmp_path / "maps" / "tile" / defect).mkdir(parents=True)
        for row in rows:
            amap = np.full((16, 16), row if defect == "good" else 2.5 + row, np.float32)
            np.save(tmp_path / "maps" / "tile" / defect / f"{row}.npy", amap)
    scored = bench.score(predictions=tmp_path / "maps", against=data, store=tmp_path / "store", resolution=16)
    frame = scored.records().set_index(["level", "metric"])
    # good 0 1 2 3 against 3.5 4.5 4.5 5.5 6.5 7.5: every defect is above every normal image
    assert frame.loc[("image", "auroc"), "value"] == 1.0
    assert set(frame.loc["pixel", "status"]) == {"undefined"}
    assert set(frame.loc["pixel", "note"]) == {"the test images have no masks"}


def test_what_learns_from_masks_is_skipped_with_the_reason(data: Path, tmp_path: Path) -> None:
    run = bench.run(
        "mvtec_supervised",
        data=data,
        scale="smoke",
        generators=["crop_paste", "perlin"],
        detectors=["unet", "resnet34"],
        store=tmp_path / "store",
        dry_run=True,
    )
    reasons = {cell.reason for cell in run.plan.skipped}
    assert "crop_paste needs masks, which tile has not" in reasons
    assert "unet learns from the masks of real defects, and tile has none" in reasons
    assert {goal.stage for goal in run.goals} == {
        "score.classification",
        "score.generation",
        "score.detection",
        "data.duplicates",
    }


def test_a_checkpoint_is_not_chosen_by_the_pixels_of_images_without_masks(data: Path, tmp_path: Path) -> None:
    run = bench.run(
        "mvtec_supervised",
        data=data,
        scale="smoke",
        generators=["perlin"],
        detectors=["unet", "resnet34"],
        settings=["selection=test-oracle"],
        store=tmp_path / "store",
        dry_run=True,
    )
    reasons = {cell.reason for cell in run.plan.skipped}
    assert any(
        reason.startswith("selection=test-oracle scores the pixels of test images") for reason in reasons
    )
    assert not {"score.detection"} & {goal.stage for goal in run.goals}
    assert "score.classification" in {goal.stage for goal in run.goals}
