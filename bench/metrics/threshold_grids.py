"""The coarse and the interpolated rules of published repositories, kept to reproduce their numbers.

`best_f1_on_grid`: the best F1 and IoU over a fixed list of thresholds, `score > threshold`.
`trapezoid_precision_recall`: area under the linearly interpolated precision-recall curve through every
distinct score, from recall 0 at the first point's precision 1 (scikit-learn's curve with `auc`; anomalib's
AUPR). It is not average precision: the interpolation is optimistic (Davis and Goadrich 2006).
`trapezoid_of_tally`: the same area of counted maps, whose scores are not sorted.

Precision: counts are exact; the sums are float64.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.metrics.one_thread import on_one_blas_thread
from bench.metrics.ranking.tally import Tally

GRID21 = np.arange(21) * 0.05
GRID101 = np.arange(101) * 0.01
GRIDS = {"grid21": GRID21, "grid21-minmax": GRID21, "grid101": GRID101, "argmax": np.array([0.5])}
"""Dialect to its thresholds; those of `grid21-minmax` are for maps scaled to 0..1."""


def counts_on_grid(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """(tp [G], fp [G], positives) of `score > grid` over all chunks of (scores, bool truth)."""
    tp = np.zeros(len(grid), np.int64)
    fp = np.zeros(len(grid), np.int64)
    positives = 0
    for scores, truth in chunks:
        for hits, values in ((tp, scores[truth]), (fp, scores[~truth])):
            # grid[i] < value <=> i < searchsorted(grid, value, left): count values by that place
            # in the type of the scores, as numpy compares an array with a number
            places = np.searchsorted(grid.astype(values.dtype), values, side="left")
            hits += values.size - np.cumsum(np.bincount(places, minlength=len(grid) + 1))[: len(grid)]
        positives += int(np.count_nonzero(truth))
    return tp, fp, positives


def best_f1_on_grid(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], grid: np.ndarray
) -> tuple[float, float, float]:
    """(best F1, best IoU, the lowest threshold of the best F1) of `score > threshold` on the grid."""
    tp, fp, positives = counts_on_grid(chunks, grid)
    f1 = 2.0 * tp / (positives + tp + fp)
    iou = tp / (positives + fp)
    best = int(np.argmax(f1))
    return float(f1[best]), float(iou.max()), float(grid[best])


def trapezoid_precision_recall(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the linearly interpolated precision-recall curve over every distinct score, 0..1."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    tp = np.cumsum(truth[order])[last_of_tie]
    precision = np.concatenate([[1.0], tp / (last_of_tie + 1.0)])
    recall = np.concatenate([[0.0], tp / tp[-1]])
    return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2.0))


@on_one_blas_thread
def trapezoid_of_tally(tally: Tally) -> float:
    """Area under the linearly interpolated precision-recall curve, 0..1, as `trapezoid_precision_recall`.

    Recall moves only at scores of positives; the point before such a step has the positives and negatives
    that lie strictly above its score, which the tally holds.
    """
    before = np.concatenate([[0], tally.tp[:-1]])
    above = before + tally.fp_above
    earlier = np.divide(before, above, out=np.ones(above.size), where=above > 0)
    precision = tally.tp / (tally.tp + tally.fp)
    return float(np.dot(tally.tp - before, precision + earlier) / (2.0 * tally.positives))


def integral_to(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    """Trapezoid integral of y over ascending x from x[0] to `limit`, interpolating y at the limit."""
    inside = int(np.searchsorted(x, limit, side="right"))
    a, b = x[:inside], y[:inside]
    area = float(np.sum(np.diff(a) * (b[1:] + b[:-1])) / 2.0)
    if inside < x.size and a[-1] < limit:
        step = (limit - a[-1]) / (x[inside] - a[-1])
        at_limit = b[-1] + step * (y[inside] - b[-1])
        area += float((limit - a[-1]) * (b[-1] + at_limit) / 2.0)
    return area
