"""AUROC, AP, F1-max and IoU of images and of pixels, AUPRO beside them, and the score of an image.

Formulas: `ranking.tally` and `aupro`. The default is exact over all thresholds. What papers call IoU is
returned or named:

    iou                    over all pixels at the threshold of the best F1; that is F1 / (2 - F1)
    iou_per_image_oracle   mean over anomalous images of each image's best IoU over its own thresholds
                           (LFD's rule, and presumably SeaS's): an oracle picks one threshold per image

A dialect changes one choice of the exact rules, for the numbers of repositories (`bench.record.catalogue`
says what each is). Those of `MASK_DIALECTS` differ in the masks only: prepare them by it.

    grid21         F1 and IoU: best of the thresholds 0, .05 .. 1 on the raw map, `score >`; that of
                   AnomalyDiffusion is grid21-truncate, on the masks of `truncate`
    grid21-minmax  the same after min-max scaling of all maps together                       (ADer)
    grid101        F1 and IoU: best of the thresholds 0, .01 .. 1 on the raw map, `score >`  (O2MAG)
    argmax         F1 and IoU at the detector's own decision, probability > 0.5
    trapezoid      AP: area under the linearly interpolated precision-recall curve (anomalib, spot-diff)

Instead of a name a `Scoring` of the catalogue may be given. `repository_metrics` makes all choices of a
repository, from the masks as they are in their files.

Precision: AUROC, AP, F1 and IoU 1e-12 of scikit-learn on the same scores, AUPRO 1e-9 of brute force
(tests/metrics).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.metrics.aupro import area_to_limit, require_limit
from bench.metrics.inputs import (
    MetricInputError,
    UndefinedMetricError,
    finite_range,
    finite_result,
    real_array,
    require_choice,
    require_same_shape,
    truth_array,
)
from bench.metrics.ranking import MapTally, tally_of
from bench.metrics.ranking.map_chunks import Chunk, MapChunks
from bench.metrics.ranking.tally import Tally, auroc, average_precision, best_f1, iou_of_f1
from bench.metrics.threshold_grids import (
    GRIDS,
    best_f1_on_grid,
    trapezoid_of_tally,
    trapezoid_precision_recall,
)
from bench.record import catalogue

IMAGE_DIALECTS = ("default", "grid21", "trapezoid")
PIXEL_DIALECTS = tuple(
    name
    for name, dialect in catalogue.dialects().items()
    if dialect.scoring is not None and dialect.scoring.image_score == "max"
)


def image_metrics(scores: Any, labels: Any, *, dialect: str = "default") -> dict[str, float]:
    """AUROC, AP and F1-max of image scores.

    scores: real [N], higher is more anomalous. labels: bool [N], true is anomalous.
    Returns auroc, ap, f1_max (0..1) and threshold (in units of the score; `score >= threshold` is
    anomalous, for `grid21` `score > threshold`).
    Raises MetricInputError (NaN, shapes, empty) and UndefinedMetricError (one class only).

    Precision: see the module.
    """
    require_choice(dialect, IMAGE_DIALECTS, "image dialect")
    score = real_array(scores, "scores", ndim=1)
    truth = truth_array(labels, "labels", ndim=1)
    require_same_shape(score, truth, "scores", "labels")
    tally = Tally.of(score, truth)
    ap = average_precision(tally)
    f1, threshold = best_f1(tally)
    if dialect == "grid21":
        f1, _, threshold = best_f1_on_grid([(score, truth)], GRIDS["grid21"])
    if dialect == "trapezoid":
        ap = trapezoid_precision_recall(score, truth)
    return {"auroc": auroc(tally), "ap": ap, "f1_max": f1, "threshold": threshold}


def pixel_metrics(
    maps: Any,
    masks: Any = None,
    *,
    dialect: str | catalogue.Scoring = "default",
    chunk: int | None = None,
    fpr_limit: float = 0.3,
) -> dict[str, float]:
    """All pixel metrics of one category, in one read of float32 maps and two of float64.

    maps: real [N, H, W], higher is more anomalous; masks: bool [N, H, W] (`prepare_masks`). Both may be
    numpy arrays, memory maps or torch tensors; or iterables of chunks [n, H, W] or [H, W]; or `maps` an
    iterable of (maps, masks) pairs with masks None. chunk: images read at a time from an array.
    Returns auroc, ap, f1_max, threshold (`score >= threshold`; `>` on grids), iou, iou_per_image_oracle,
    aupro (to `fpr_limit`), all but the threshold 0..1.
    Raises MetricInputError (NaN, infinities, shapes, empty), UndefinedMetricError (one class only).

    Precision: see the module.
    """
    scoring = _scoring_of(dialect)
    if scoring.iou == "image-truncate":
        raise MetricInputError("this IoU needs the masks as they are in their files; use repository_metrics")
    require_limit(fpr_limit)
    source = MapChunks(maps, masks, chunk)
    if not source.rereadable and scoring.thresholds != "all":
        raise MetricInputError(
            f"dialect '{scoring.thresholds}' reads the maps again; give arrays, memory maps or lists, "
            "not an iterator"
        )
    counted = tally_of(source)
    values = exact_pixel_metrics(counted, fpr_limit)
    if scoring.thresholds != "all":
        scaled = _min_max_scaled(source) if scoring.thresholds == "grid21-minmax" else source
        f1, iou, threshold = best_f1_on_grid(scaled, GRIDS[scoring.thresholds])
        values |= {"f1_max": f1, "iou": iou, "threshold": threshold}
    if scoring.ap == "trapezoid":
        values["ap"] = trapezoid_of_tally(counted.tally)
    if scoring.iou == "image":
        values["iou"] = values["iou_per_image_oracle"]
    return values


def exact_pixel_metrics(counted: MapTally, fpr_limit: float = 0.3) -> dict[str, float]:
    """What `pixel_metrics` returns by the exact rules, of maps that were counted with their images apart."""
    tally = counted.tally
    f1, threshold = best_f1(tally)
    return {
        "auroc": auroc(tally),
        "ap": average_precision(tally),
        "f1_max": f1,
        "threshold": threshold,
        "iou": iou_of_f1(f1),
        "iou_per_image_oracle": float(counted.best_iou.mean()),
        "aupro": area_to_limit(tally, fpr_limit),
    }


def image_scores(maps: Any, rule: str = "max") -> np.ndarray:
    """One score per image from anomaly maps [N, H, W].

    `max`: the largest pixel (LFD, GLASS, PatchCore). `pool21`: the largest mean over a 21 x 21 window at
    stride 1 with 10 pixels of zero padding that count in the mean (DRAEM, AnomalyDiffusion).
    Returns float64 [N]. Raises MetricInputError on NaN, wrong shapes, empty input.

    Precision: `max` exact; `pool21` float64, 1e-12 of torch's pooling for maps of size 1: the sums are
    differences of a table of all pixels, so the error is relative to the largest of those.
    """
    require_choice(rule, ("max", "pool21"), "image score rule")
    array = real_array(maps, "maps", ndim=3)
    if rule == "max":
        return array.max(axis=(1, 2)).astype(np.float64)
    return np.array([_largest_window_mean(amap, 21) for amap in array])


def _scoring_of(dialect: str | catalogue.Scoring) -> catalogue.Scoring:
    if isinstance(dialect, catalogue.Scoring):
        return dialect
    require_choice(dialect, PIXEL_DIALECTS, "pixel dialect")
    scoring = catalogue.dialects()[dialect].scoring
    assert scoring is not None
    return scoring


def _min_max_scaled(source: MapChunks) -> Iterator[Chunk]:
    low = min(maps.min() for maps, _ in source)
    high = max(maps.max() for maps, _ in source)
    if low == high:
        raise UndefinedMetricError("all maps hold one value, so min-max scaling is undefined")
    span = finite_range(low, high, "the maps")
    return (((maps - low) / span, masks) for maps, masks in source)


def _largest_window_mean(amap: np.ndarray, side: int) -> float:
    pad = side // 2
    # summed-area table of the zero-padded map: a window's sum is four look-ups
    padded = np.pad(amap.astype(np.float64), ((pad + 1, pad), (pad + 1, pad)))
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused by name
        table = padded.cumsum(axis=0).cumsum(axis=1)
        sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    return finite_result(sums.max() / side**2, "a window's mean")
