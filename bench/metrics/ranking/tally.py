"""Exact ranking metrics from counts at the distinct positive scores.

With thresholds t_1 > t_2 > ... the distinct scores of the positives, P positives, N negatives:

    tp_k = #(positives >= t_k)     fp_k = #(negatives >= t_k)     fp'_k = #(negatives > t_k)

    AUROC   = sum_k (tp_k - tp_{k-1}) (N - (fp_k + fp'_k) / 2) / (P N)       (Mann-Whitney, ties count half)
    AP      = sum_k (tp_k - tp_{k-1}) / P * tp_k / (tp_k + fp_k)              (step rule)
    F1_k    = 2 tp_k / (P + tp_k + fp_k)          IoU_k = tp_k / (P + fp_k) = F1_k / (2 - F1_k)

Scores that only negatives hold change none of them: between two distinct positive scores recall
stands still, so neither the AP sum nor the best F1 can lie there. So only the positives are sorted
and the negatives are counted; nothing is interpolated or binned.

Not here: the trapezoid area of the precision-recall curve over every score (see `pixel`).

Precision: counts are int64, sums float64. Against scikit-learn on the same scores 1e-12 or better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.metrics.inputs import UndefinedMetricError
from bench.metrics.one_thread import on_one_blas_thread

THRESHOLDS_A_PIECE = 1 << 15


@dataclass(frozen=True)
class Tally:
    """Counts at the distinct positive scores, highest first.

    thresholds [T] as the scores came; tp, fp, fp_above int64 [T]; overlap float64 [T] is the mean share
    of each ground-truth region at or above the threshold (0..1), or None where regions were not asked for.
    """

    thresholds: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fp_above: np.ndarray
    positives: int
    negatives: int
    overlap: np.ndarray | None = None

    @classmethod
    def of(cls, scores: np.ndarray, truth: np.ndarray) -> Tally:
        """From scores [n] and bool truth [n]. Raises UndefinedMetricError where one class is missing."""
        positive, negative = scores[truth], np.sort(scores[~truth])
        require_both_classes(positive.size, negative.size)
        ascending, counts = np.unique(positive, return_counts=True)
        at_least = negative.size - np.searchsorted(negative, ascending, side="left")
        above = negative.size - np.searchsorted(negative, ascending, side="right")
        return cls(
            thresholds=ascending[::-1],
            tp=np.cumsum(counts[::-1]),
            fp=at_least[::-1],
            fp_above=above[::-1],
            positives=positive.size,
            negatives=negative.size,
        )

    def pieces(self) -> Iterator[Tally]:
        """The tally in parts of a size that stays in the cache, highest first."""
        for start in range(0, self.tp.size, THRESHOLDS_A_PIECE):
            span = slice(start, start + THRESHOLDS_A_PIECE)
            yield replace(
                self,
                thresholds=self.thresholds[span],
                tp=self.tp[span],
                fp=self.fp[span],
                fp_above=self.fp_above[span],
                overlap=None if self.overlap is None else self.overlap[span],
            )


def require_both_classes(positives: int, negatives: int, what: str = "truth") -> None:
    """Raises UndefinedMetricError where a class is missing."""
    if positives == 0:
        raise UndefinedMetricError(f"the {what} holds no positive, so ranking metrics are undefined")
    if negatives == 0:
        raise UndefinedMetricError(f"the {what} holds no negative, so ranking metrics are undefined")


def auroc(tally: Tally) -> float:
    """Area under the ROC curve, 0..1, ties counted half."""
    won, before = 0, 0
    for piece in tally.pieces():
        new = np.diff(piece.tp, prepend=before)
        # twice the number of won pairs: an integer below 2 P N, exact in int64 up to 4e18
        won += int(np.dot(new, 2 * tally.negatives - piece.fp - piece.fp_above))
        before = piece.tp[-1]
    return won / (2 * tally.positives * tally.negatives)


@on_one_blas_thread
def average_precision(tally: Tally) -> float:
    """Average precision by the step rule of scikit-learn, 0..1."""
    total, before = 0.0, 0
    for piece in tally.pieces():
        precision = piece.tp / (piece.tp + piece.fp)
        total += float(np.dot(np.diff(piece.tp, prepend=before), precision))
        before = piece.tp[-1]
    return total / tally.positives


def f1_curve(tally: Tally) -> np.ndarray:
    """F1 at every threshold, float64 [T]."""
    return 2.0 * tally.tp / (tally.positives + tally.tp + tally.fp)


def best_f1(tally: Tally) -> tuple[float, float]:
    """(largest F1, the highest threshold that reaches it: `score >= threshold` is positive)."""
    best, threshold = -1.0, float("nan")
    for piece in tally.pieces():
        f1 = f1_curve(piece)
        highest = int(np.argmax(f1))
        if f1[highest] > best:
            best, threshold = float(f1[highest]), float(piece.thresholds[highest])
    return best, threshold


def iou_of_f1(f1: float) -> float:
    """Intersection over union at the threshold where F1 was taken: F1 / (2 - F1)."""
    return f1 / (2.0 - f1)
