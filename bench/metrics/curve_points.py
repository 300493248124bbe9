"""ROC and precision-recall curves as few points, for plots."""

from __future__ import annotations

import numpy as np

from bench.metrics.ranking.tally import Tally

POINTS = 100


def curve_points(tally: Tally) -> dict[str, list[list[float]]]:
    """ROC [false positive rate, true positive rate] and PR [recall, precision], thinned to POINTS.

    Points are taken at even steps of both axes of the ROC, so that its steep beginning is kept.
    """
    before = np.concatenate([[0], tally.tp[:-1]])
    # a step has two ends: the negatives above a score come before the positives at it
    fpr = np.stack([tally.fp_above, tally.fp], axis=1).ravel() / tally.negatives
    tpr = np.stack([before, tally.tp], axis=1).ravel() / tally.positives
    along = np.cumsum(np.hypot(np.diff(fpr, prepend=0.0), np.diff(tpr, prepend=0.0)))
    picked = _indices(along, np.linspace(0.0, along[-1], POINTS))
    recall, precision = tally.tp / tally.positives, tally.tp / (tally.tp + tally.fp)
    evenly = _indices(recall, np.linspace(0.0, 1.0, POINTS))

    def rounded(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
        return [[round(float(a), 5), round(float(b), 5)] for a, b in zip(x, y, strict=True)]

    return {
        "roc": [[0.0, 0.0], *rounded(fpr[picked], tpr[picked]), [1.0, 1.0]],
        "pr": rounded(recall[evenly], precision[evenly]),
    }


def _indices(ascending: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The index of the first value at or above each mark, each index once."""
    return np.unique(np.searchsorted(ascending, marks).clip(0, ascending.size - 1))
