"""Uncertainty: bootstrap over images, never over pixels.

Every resample is a row of counts (how often each image was drawn), made once and shared by all detectors on
the same test images, so that differences between them are paired. All randomness enters through the rng
that `resample_counts` is given.

Efron and Tibshirani 1993, chapter 8 (strata); Holm 1979 for several comparisons. What replicates say of a
value is `bench.metrics.uncertainty`'s; differences of two rows are taken from their replicates where rows are
ranked (`reports.board.ranks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metrics.classification import negatives_to_keep
from bench.metrics.inputs import MetricInputError, real_array, require_same_shape, to_numpy, truth_array
from bench.metrics.one_thread import on_one_blas_thread

CELLS_A_BLOCK = 1 << 22


def resample_counts(n: int, replicates: int, rng: np.random.Generator, strata: Any = None) -> np.ndarray:
    """How often each of n images is in each of R bootstrap samples of n, int32 [R, N].

    strata: [N] labels; each stratum keeps its size in every sample, so that none is of one class.
    """
    if n < 1 or replicates < 1:
        raise MetricInputError(f"a bootstrap needs images and replicates, not {n} and {replicates}")
    groups = np.zeros(n, int) if strata is None else to_numpy(strata, "strata")
    if groups.shape != (n,):
        raise MetricInputError(f"strata must be one label an image, [{n}], not {groups.shape}")
    counts = np.zeros((replicates, n), np.int32)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        counts[:, members] = rng.multinomial(
            members.size, np.full(members.size, 1 / members.size), replicates
        )
    return counts


def bootstrap_image_metrics(scores: Any, labels: Any, counts: np.ndarray) -> dict[str, np.ndarray]:
    """auroc, ap and f1_max of every resample, float64 [R] each.

    scores: real [N]; labels: bool [N]; counts: int [R, N]. Same rules as `image_metrics`: a row of ones gives
    its values. Raises MetricInputError where a resample holds one class only (stratify by label).
    """
    score = real_array(scores, "scores", ndim=1)
    truth = truth_array(labels, "labels", ndim=1)
    require_same_shape(score, truth, "scores", "labels")
    draws = require_counts(counts, len(score))
    order = np.argsort(-score, kind="stable")
    ranked, positive = score[order], truth[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    rows = max(1, CELLS_A_BLOCK // len(score))
    parts = []
    for start in range(0, len(draws), rows):
        multiplicity = draws[start : start + rows][:, order].astype(np.int64)
        tp = np.cumsum(multiplicity * positive, axis=1)[:, last]
        fp = np.cumsum(multiplicity * ~positive, axis=1)[:, last]
        parts.append(curve_metrics(tp, fp))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def bootstrap_recall_at_tnr(scores: Any, labels: Any, counts: np.ndarray, tnr: float = 0.95) -> np.ndarray:
    """Recall at a true negative rate (`recall_at_tnr`) of every resample, float64 [R].

    scores: real [N]; labels: bool [N]; counts: int [R, N], stratified by label. Each resample finds its own
    threshold. Raises MetricInputError where a resample holds one class only.
    """
    score = real_array(scores, "scores", ndim=1)
    truth = truth_array(labels, "labels", ndim=1)
    require_same_shape(score, truth, "scores", "labels")
    draws = require_counts(counts, len(score))
    order = np.argsort(score, kind="stable")
    ranked, positive = score[order], truth[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    rows = max(1, CELLS_A_BLOCK // len(score))
    parts = []
    for start in range(0, len(draws), rows):
        multiplicity = draws[start : start + rows][:, order].astype(np.int64)
        missed = np.cumsum(multiplicity * positive, axis=1)[:, last]  # positives at or below each score
        passed = np.cumsum(multiplicity * ~positive, axis=1)[:, last]
        _require_both(missed[:, -1], passed[:, -1])
        negatives_below = np.array([negatives_to_keep(int(total), tnr) for total in passed[:, -1]])
        threshold = (passed >= negatives_below[:, None]).argmax(axis=1)
        detected = missed[:, -1] - missed[np.arange(len(missed)), threshold]
        parts.append(detected / missed[:, -1])
    return np.concatenate(parts)


def curve_metrics(tp: np.ndarray, fp: np.ndarray) -> dict[str, np.ndarray]:
    """auroc, ap, f1_max of curves [R, T]: counts at or above falling thresholds, the last column all."""
    positives, negatives = tp[:, -1:].astype(np.float64), fp[:, -1:].astype(np.float64)
    _require_both(positives, negatives)
    new = np.diff(tp, axis=1, prepend=0)
    before = np.diff(fp, axis=1, prepend=0)
    won = (new * (negatives - fp + before / 2.0)).sum(axis=1, keepdims=True)
    called = tp + fp
    with np.errstate(invalid="ignore"):
        ap = np.where(called > 0, new * (tp / called), 0.0).sum(axis=1, keepdims=True) / positives
    return {
        "auroc": (won / (positives * negatives))[:, 0],
        "ap": ap[:, 0],
        "f1_max": (2.0 * tp / (positives + called)).max(axis=1),
    }


def _require_both(positives: np.ndarray, negatives: np.ndarray) -> None:
    if (positives == 0).any() or (negatives == 0).any():
        raise MetricInputError("a resample holds one class only; give resample_counts the labels as strata")


@on_one_blas_thread
def bootstrap_mean(values: Any, counts: np.ndarray) -> np.ndarray:
    """The mean of a per-image value in every resample, float64 [R]; of `correct` flags it is the accuracy."""
    value = real_array(values, "values", ndim=1).astype(np.float64)
    draws = require_counts(counts, len(value))
    sizes = draws.sum(axis=1)
    if (sizes == 0).any():
        raise MetricInputError("a resample is empty")
    return draws @ value / sizes


def require_counts(counts: np.ndarray, images: int) -> np.ndarray:
    """Checked counts [R, N]. Raises MetricInputError."""
    draws = to_numpy(counts, "counts")
    if draws.ndim != 2 or draws.shape[1] != images or not np.issubdtype(draws.dtype, np.integer):
        raise MetricInputError(f"counts must be integers [R, {images}], not {draws.dtype} {draws.shape}")
    if len(draws) == 0 or draws.min() < 0:
        raise MetricInputError("counts must be 0 or above, in at least one resample")
    return draws


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values, float64, in the order given."""
    p = real_array(np.asarray(p_values, np.float64), "p-values", ndim=1)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
