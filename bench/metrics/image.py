"""Image-level AUROC, average precision and F1-max, and the score of an image.

Formulas: `tally`. The default is exact over all thresholds. Dialects of the F1 sweep (the areas are
the same in all of them): `grid21` takes the best F1 over the thresholds 0, 0.05 .. 1 with `score >`, on
the scores as they are (the sweep of AnomalyDiffusion, unet_utils; its image F1 is exact, so this is for
detectors that publish the coarse one), `trapezoid` takes the area under the linearly interpolated
precision-recall curve for AP (anomalib's AUPR, spot-diff).

Precision: 1e-12 of scikit-learn on the same float64 scores; on float32 scores the same as
scikit-learn on those (tests/metrics/test_image_metrics.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.inputs import finite_result, real_array, require_choice, require_same_shape, truth_array
from bench.metrics.ranking.tally import Tally, auroc, average_precision, best_f1
from bench.metrics.threshold_grids import GRID21, best_f1_on_grid, trapezoid_precision_recall

IMAGE_DIALECTS = ("default", "grid21", "trapezoid")


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
        f1, _, threshold = best_f1_on_grid([(score, truth)], GRID21)
    if dialect == "trapezoid":
        ap = trapezoid_precision_recall(score, truth)
    return {"auroc": auroc(tally), "ap": ap, "f1_max": f1, "threshold": threshold}


def image_scores(maps: Any, rule: str = "max") -> np.ndarray:
    """One score an image from anomaly maps [N, H, W].

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


def _largest_window_mean(amap: np.ndarray, side: int) -> float:
    pad = side // 2
    # summed-area table of the zero-padded map: a window's sum is four look-ups
    padded = np.pad(amap.astype(np.float64), ((pad + 1, pad), (pad + 1, pad)))
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused by name
        table = padded.cumsum(axis=0).cumsum(axis=1)
        sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    return finite_result(sums.max() / side**2, "a window's mean")
