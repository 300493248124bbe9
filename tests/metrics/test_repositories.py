"""Each repository's numbers, against its loader and scorer written here with Pillow and OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score
from torch.nn import functional

from bench.metrics import MASK_DIALECTS, MetricInputError, pixel_metrics, prepare_masks, repository_metrics
from bench.metrics.detection import pixel_values
from bench.record.catalogue import REPOSITORIES

SIDE = 48
EXACT = 1e-12
Loader = Callable[[Path], np.ndarray]


def opencv_mask(path: Path) -> np.ndarray:
    """DRAEM's and AnomalyDiffusion's loader: grey, resized without antialiasing, then divided."""
    return cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (SIDE, SIDE)) / 255.0


def pillow_mask(path: Path) -> np.ndarray:
    """LFD's, GLASS's and PatchCore's: torchvision's Resize of a Pillow image, then ToTensor."""
    grey = Image.open(path).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(grey).astype(np.float32) / np.float32(255)


def nearest_mask(path: Path) -> np.ndarray:
    """anomalib's: a tensor of 0 and 1, resized by the nearest pixel."""
    plain = torch.from_numpy(np.array(Image.open(path).convert("L")) > 0)[None, None].float()
    return functional.interpolate(plain, size=(SIDE, SIDE), mode="nearest")[0, 0].numpy()


TRUTHS: dict[str, tuple[Loader, Callable[[np.ndarray], np.ndarray]]] = {
    "draem": (opencv_mask, lambda mask: mask.astype(np.uint8) == 1),
    "anomalydiffusion": (opencv_mask, lambda mask: mask.astype(np.uint8) == 1),
    "lfd": (pillow_mask, lambda mask: mask != 0),
    "glass": (pillow_mask, lambda mask: mask.astype(int) == 1),
    "patchcore": (pillow_mask, lambda mask: mask.astype(int) == 1),
    "ader": (pillow_mask, lambda mask: mask > 0.5),
    "anomalib": (nearest_mask, lambda mask: mask > 0),
}


def best_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
    with np.errstate(invalid="ignore"):
        f1 = 2 * precision * recall / (precision + recall)
    return float(np.nanmax(f1))


def best_f1_of_21(truth: np.ndarray, scores: np.ndarray) -> float:
    values = []
    for step in range(21):
        predicted = scores > np.float32(step * 0.05)
        hits = np.sum(predicted & truth)
        values.append(2 * hits / (predicted.sum() + truth.sum()))
    return float(max(values))


def best_iou(truth: np.ndarray, scores: np.ndarray) -> float:
    return max(
        float(np.sum((scores >= t) & truth) / np.sum((scores >= t) | truth)) for t in np.unique(scores)
    )


def pooled_maxima(maps: np.ndarray) -> np.ndarray:
    means = functional.avg_pool2d(torch.from_numpy(maps).double()[:, None], 21, stride=1, padding=10)
    return means.flatten(1).max(dim=1).values.numpy()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Masks of 210 x 157 pixels: eight defects, two of them too thin for an antialiased 1, four normals."""
    rng = np.random.default_rng(5)
    paths = []
    for number in range(12):
        mask = np.zeros((210, 157), np.uint8)
        y, x = int(rng.integers(60, 150)), int(rng.integers(50, 110))
        if number < 6:
            cv2.ellipse(
                mask, (x, y), (int(rng.integers(9, 40)), 12), float(rng.integers(180)), 0, 360, 255, -1
            )
        elif number < 8:
            cv2.line(mask, (x - 40, y - 20), (x + 40, y + 30), 255, 2)
        paths.append(tmp_path / f"{number:03d}_mask.png")
        cv2.imwrite(str(paths[-1]), mask)
    return paths


@pytest.fixture
def raw(files: list[Path]) -> list[np.ndarray]:
    return [np.array(Image.open(path)) for path in files]


@pytest.fixture
def maps(raw: list[np.ndarray]) -> np.ndarray:
    """Probabilities float32 [12, SIDE, SIDE]: the blurred truth with noise."""
    rng = np.random.default_rng(6)
    shares = [cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255 for mask in raw]
    return np.array([0.6 * share + 0.4 * rng.random((SIDE, SIDE)) for share in shares]).astype(np.float32)


LABELS = np.arange(12) < 8


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_a_bundle_gives_the_numbers_of_the_releases_loader_and_scorer(repository, files, raw, maps):
    load, binarise = TRUTHS[repository]
    loaded = np.array([load(path) for path in files])
    truth = binarise(loaded)
    ours = repository_metrics(repository, maps, raw, LABELS)
    assert ours["pixel"]["auroc"] == pytest.approx(roc_auc_score(truth.ravel(), maps.ravel()), abs=EXACT)
    if repository == "anomalib":
        precision, recall, _ = precision_recall_curve(truth.ravel(), maps.ravel())
        ap = auc(recall, precision)
    else:
        ap = average_precision_score(truth.ravel(), maps.ravel())
    assert ours["pixel"]["ap"] == pytest.approx(ap, abs=EXACT)
    if repository == "anomalydiffusion":
        f1 = best_f1_of_21(truth, maps)
    elif repository == "ader":
        f1 = best_f1_of_21(truth, (maps - maps.min()) / (maps.max() - maps.min()))
    else:
        f1 = best_f1(truth, maps)
    assert ours["pixel"]["f1_max"] == pytest.approx(f1, abs=EXACT)
    pooled = repository in ("draem", "anomalydiffusion")
    scores = pooled_maxima(maps) if pooled else maps.max(axis=(1, 2))
    labels = truth.any(axis=(1, 2)) if repository in ("lfd", "ader") else LABELS
    assert ours["image"]["auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert ours["image"]["f1_max"] == pytest.approx(best_f1(labels, scores), abs=EXACT)


def test_lfds_iou_is_of_truncated_masks_and_leaves_out_images_left_empty(files, raw, maps):
    truncated = np.array([pillow_mask(path).astype(np.uint8) for path in files]) == 1
    counted = [best_iou(mask, amap) for mask, amap in zip(truncated, maps, strict=True) if mask.any()]
    assert len(counted) == 6  # of eight defects
    assert repository_metrics("lfd", maps, raw, LABELS)["pixel"]["iou"] == pytest.approx(
        np.mean(counted), abs=EXACT
    )


def test_what_a_run_records_by_name_is_what_the_bundles_give(raw, maps):
    by_rule = {
        name: prepare_masks(raw, SIDE, filter=f, rule=r)
        for name, (f, r) in MASK_DIALECTS.items()
        if name != "default"
    }
    values, undefined, _ = pixel_values(maps, prepare_masks(raw, SIDE), by_rule)
    assert not undefined
    lfd, glass, released = (
        repository_metrics(name, maps, raw, LABELS)["pixel"] for name in ("lfd", "glass", "anomalydiffusion")
    )
    expected = {
        ("ap", "nonzero-antialias"): lfd["ap"],
        ("f1_max", "nonzero-antialias"): lfd["f1_max"],
        ("iou", "per-image-oracle-truncate"): lfd["iou"],
        ("auroc", "truncate-antialias"): glass["auroc"],
        ("f1_max", "grid21-truncate"): released["f1_max"],
        ("iou", "grid21-truncate"): released["iou"],
        ("ap", "truncate"): released["ap"],
    }
    assert {key: values[key] for key in expected} == pytest.approx(expected, abs=EXACT)
    assert len({round(value, 6) for value in expected.values()}) == len(expected)


def test_maps_of_which_truncation_leaves_no_defect_have_no_grid_on_truncated_masks(maps):
    thin = np.zeros((12, 210, 157), np.uint8)
    thin[:8, 100, 20:120] = 255
    by_rule = {name: prepare_masks(thin, SIDE, filter=f, rule=r) for name, (f, r) in MASK_DIALECTS.items()}
    marked = np.zeros((12, SIDE, SIDE), bool)
    marked[:8, 20:24, 20:24] = True
    values, undefined, _ = pixel_values(maps, marked, by_rule)
    assert "truncated masks" in undefined["f1_max", "grid21-truncate"]
    assert "no positive" in undefined["iou", "per-image-oracle-truncate"]
    assert ("f1_max", "grid21-truncate") not in values


@pytest.mark.parametrize("shape", [(96, 96), (1024, 700), (61, 47), (20, 30), (7, 301)])
def test_resized_masks_are_opencvs_and_pillows_bit_by_bit(shape):
    noise = np.random.default_rng(0).random(shape).astype(np.float32)
    mask = cv2.blur(noise, (7, 7)) > 0.5
    grey = mask.astype(np.uint8) * 255
    antialiased = np.array(Image.fromarray(grey).resize((32, 24), Image.Resampling.BILINEAR))
    for filter, resized in (("bilinear", cv2.resize(grey, (32, 24))), ("bilinear-antialias", antialiased)):
        for rule, truth in (
            ("half", resized > 127.5),
            ("truncate", resized == 255),
            ("nonzero", resized > 0),
        ):
            assert (prepare_masks(mask, (24, 32), filter=filter, rule=rule) == truth).all()


def test_a_six_pixel_scratch_at_1024_is_twice_as_large_to_lfd():
    mask = np.zeros((1024, 1024), np.uint8)
    cv2.line(mask, (100, 200), (700, 500), 255, 6)
    shares = {
        filter: int(prepare_masks(mask, 256, filter=filter, rule="nonzero").sum())
        for filter in ("bilinear", "bilinear-antialias")
    }
    assert shares["bilinear-antialias"] > 1.4 * shares["bilinear"]


def test_a_bundle_that_needs_the_files_masks_is_refused_where_they_are_prepared_already(raw, maps):
    with pytest.raises(MetricInputError, match="repository_metrics"):
        pixel_metrics(maps, prepare_masks(raw, SIDE), dialect=REPOSITORIES["lfd"])
    with pytest.raises(MetricInputError, match="anomalydiffusion"):
        repository_metrics("anomaly-diffusion", maps, raw, LABELS)
