"""Defect classification and screening at a fixed operating point.

    accuracy = #(argmax of the row = label) / N, pooled over the images of a category
    recall at a true negative rate r: the share of positives with score > t, t the smallest value that at
        least a share r of the negatives do not exceed (the order statistic ceil(r N) of the negatives);
        undefined where that is all of them, as of fewer than 20 negatives at 0.95
    harmonic mean of several recalls: the butterfly challenge's score over its hybrid kinds

Several defects a category: macro recall is the mean of the recalls of the classes that occur. Not the
accuracy of the last batch (which AnomalyDiffusion's released test prints above 100 test images).

Precision: counts; exact up to one float64 division.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metrics.inputs import (
    MetricInputError,
    UndefinedMetricError,
    real_array,
    require_same_shape,
    to_numpy,
    truth_array,
)
from bench.metrics.ranking.tally import require_both_classes


def classification_metrics(logits: Any, labels: Any) -> dict[str, Any]:
    """Accuracy and recalls of a defect classifier.

    logits: real [N, K] (any monotone scores; ties go to the lower class); labels: int [N], 0..K-1.
    Returns accuracy, macro_recall, macro_f1 (0..1, over the classes that occur), recall (dict class ->
    0..1), confusion (int64 [K, K], rows are the truth).
    Raises MetricInputError.

    Precision: see the module.
    """
    scores = real_array(logits, "logits", ndim=2)
    truth = to_numpy(labels, "labels")
    if truth.ndim != 1 or len(truth) != len(scores):
        raise MetricInputError(f"labels {truth.shape} must be one an image of logits {scores.shape}")
    if not np.issubdtype(truth.dtype, np.integer):
        raise MetricInputError(f"labels must be class numbers, not {truth.dtype}")
    classes = scores.shape[1]
    if truth.min() < 0 or truth.max() >= classes:
        raise MetricInputError(
            f"labels must be from 0 to {classes - 1}, but reach {truth.min()}..{truth.max()}"
        )
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, scores.argmax(axis=1)), 1)
    hits, of_class, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = np.flatnonzero(of_class)
    recall = hits[occurs] / of_class[occurs]
    f1 = 2 * hits[occurs] / (of_class[occurs] + called[occurs])
    return {
        "accuracy": float(hits.sum() / len(truth)),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "recall": {int(c): float(r) for c, r in zip(occurs, recall, strict=True)},
        "confusion": confusion,
    }


def recall_at_tnr(scores: Any, labels: Any, tnr: float = 0.95) -> dict[str, float]:
    """Recall of the anomalous at the threshold that keeps a share `tnr` of the normal out.

    scores: real [N], higher is more anomalous; labels: bool [N]. Returns recall, threshold (`score >
    threshold` is anomalous) and the true negative rate reached (at least `tnr`; above it where ties force
    it). Raises MetricInputError; UndefinedMetricError where there is one class only, or too few negatives
    for one of them to lie above the threshold: the rate would be 1, whatever was asked for.

    Precision: see the module.
    """
    if not 0.0 < tnr <= 1.0:
        raise MetricInputError(f"tnr must be above 0 and at most 1, not {tnr}")
    score = real_array(scores, "scores", ndim=1)
    truth = truth_array(labels, "labels", ndim=1)
    require_same_shape(score, truth, "scores", "labels")
    negative = np.sort(score[~truth])
    positives = int(truth.sum())
    require_both_classes(positives, negative.size, "labels")
    rank = negatives_to_keep(negative.size, tnr)
    if tnr < 1.0 and rank == negative.size:
        fewest = math.ceil((1 - 1e-12) / (1.0 - tnr))
        raise UndefinedMetricError(
            f"{negative.size} normal images are too few for a true negative rate of {tnr:g}; "
            f"it needs {fewest}"
        )
    threshold = negative[rank - 1]
    return {
        "recall": float(np.count_nonzero(score[truth] > threshold) / positives),
        "threshold": float(threshold),
        "tnr": float(np.count_nonzero(negative <= threshold) / negative.size),
    }


def negatives_to_keep(negatives: int, tnr: float) -> int:
    """How many negatives at least make up a share `tnr` of all."""
    # a product like 0.95 * 20 can land above 19 by rounding; one part in 1e12 cannot be meant
    return math.ceil(tnr * negatives * (1 - 1e-12))


def recall_by_group(scores: Any, labels: Any, groups: Sequence[str], tnr: float = 0.95) -> dict[str, float]:
    """Recall of every group of anomalous images (its defect type) at one threshold, `recall_at_tnr`'s.

    Library only: no record has it.

    groups: a name an image; those of normal images are not read. Returns recall by group, groups sorted.
    Raises MetricInputError, UndefinedMetricError (one class only).

    Precision: see the module.
    """
    threshold = recall_at_tnr(scores, labels, tnr)["threshold"]
    score, truth = real_array(scores, "scores", ndim=1), truth_array(labels, "labels", ndim=1)
    names = np.asarray(groups)
    require_same_shape(score, names, "scores", "groups")
    return {
        str(name): float(np.mean(score[truth & (names == name)] > threshold))
        for name in np.unique(names[truth])
    }


def harmonic_mean(values: Any) -> float:
    """Harmonic mean of rates 0..1; 0 where one of them is 0. Raises MetricInputError below 0 or empty.

    Library only: no record has it.

    Precision: float64, a rounding a rate.
    """
    rates = real_array(values, "values", ndim=1).astype(np.float64)
    if (rates < 0).any():
        raise MetricInputError("a harmonic mean needs values of 0 or above")
    return 0.0 if (rates == 0).any() else float(len(rates) / np.sum(1.0 / rates))
