"""Uncertainty: bootstrap over images, never over pixels.

Every resample is a row of counts (how often each image was drawn), made once and shared by all detectors on
the same test images, so that differences between them are paired. All randomness enters through the rng
that `resample_counts` is given.

Efron and Tibshirani 1993, chapters 13 (percentile) and 14 (BCa); Holm 1979 for several comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics.ic_lpips import IcLpips
from bench.metrics.inputs import MetricInputError, real_array, require_same_shape, to_numpy, truth_array

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


def leave_one_out_counts(n: int) -> np.ndarray:
    """Counts [N, N] of the jackknife samples that `bca_interval` needs."""
    return 1 - np.eye(n, dtype=np.int32)


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
        drawn = draws[start : start + rows][:, order].astype(np.int64)
        tp = np.cumsum(drawn * positive, axis=1)[:, last]
        fp = np.cumsum(drawn * ~positive, axis=1)[:, last]
        parts.append(curve_metrics(tp, fp))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def curve_metrics(tp: np.ndarray, fp: np.ndarray) -> dict[str, np.ndarray]:
    """auroc, ap, f1_max of curves [R, T]: counts at or above falling thresholds, the last column all."""
    positives, negatives = tp[:, -1:].astype(np.float64), fp[:, -1:].astype(np.float64)
    if (positives == 0).any() or (negatives == 0).any():
        raise MetricInputError("a resample holds one class only; give resample_counts the labels as strata")
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


def bootstrap_mean(values: Any, counts: np.ndarray) -> np.ndarray:
    """The mean of a per-image value in every resample, float64 [R]; of `correct` flags it is the accuracy."""
    value = real_array(values, "values", ndim=1).astype(np.float64)
    draws = require_counts(counts, len(value))
    sizes = draws.sum(axis=1)
    if (sizes == 0).any():
        raise MetricInputError("a resample is empty")
    return draws @ value / sizes


def bootstrap_clusters(result: IcLpips, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """IC-LPIPS of resampled clusters, float64 [R]; its spread is the metric's error over centres."""
    values = np.array(result.counted)
    return bootstrap_mean(values, resample_counts(len(values), replicates, rng))


def require_counts(counts: np.ndarray, images: int) -> np.ndarray:
    """Checked counts [R, N]. Raises MetricInputError."""
    draws = to_numpy(counts, "counts")
    if draws.ndim != 2 or draws.shape[1] != images or not np.issubdtype(draws.dtype, np.integer):
        raise MetricInputError(f"counts must be integers [R, {images}], not {draws.dtype} {draws.shape}")
    if len(draws) == 0 or draws.min() < 0:
        raise MetricInputError("counts must be 0 or above, in at least one resample")
    return draws


def percentile_interval(replicates: Any, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the replicates."""
    _require_level(level)
    values = real_array(replicates, "replicates", ndim=1)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_interval(point: float, replicates: Any, jackknife: Any, level: float = 0.95) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987).

    jackknife: the metric of the leave-one-out samples (`leave_one_out_counts`), [N]. Falls back to the
    percentiles of `replicates` in the limits: where all replicates lie on one side of the point, that side
    is the extreme replicate.
    """
    from scipy.stats import norm

    _require_level(level)
    values = np.sort(real_array(replicates, "replicates", ndim=1).astype(np.float64))
    left_out = real_array(jackknife, "jackknife", ndim=1).astype(np.float64)
    if values[0] == values[-1]:
        return float(values[0]), float(values[0])
    # replicates equal to the point count half: metrics of few images take few values
    below = (np.count_nonzero(values < point) + 0.5 * np.count_nonzero(values == point)) / values.size
    bias = norm.ppf(np.clip(below, 0.5 / values.size, 1 - 0.5 / values.size))
    gap = left_out.mean() - left_out
    spread = np.sum(gap**2)
    acceleration = np.sum(gap**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shares = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + norm.ppf(tail)
        shares.append(norm.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(values, shares)
    return float(low), float(high)


def _require_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise MetricInputError(f"level must be between 0 and 1, not {level}")


@dataclass(frozen=True)
class PairedDifference:
    """value: a - b on all images; low, high: percentile interval; p: two-sided bootstrap p-value."""

    value: float
    low: float
    high: float
    p: float


def paired_difference(
    point_a: float, replicates_a: Any, point_b: float, replicates_b: Any, level: float = 0.95
) -> PairedDifference:
    """Difference of two detectors on the same resamples of the same images."""
    a, b = (
        real_array(replicates_a, "replicates of a", ndim=1),
        real_array(replicates_b, "replicates of b", ndim=1),
    )
    require_same_shape(a, b, "replicates of a", "replicates of b")
    gaps = a.astype(np.float64) - b
    low, high = percentile_interval(gaps, level)
    tails = min(np.count_nonzero(gaps <= 0), np.count_nonzero(gaps >= 0))
    # one is added to both counts: a p-value of a finite bootstrap is never 0
    p = min(1.0, 2.0 * (tails + 1) / (gaps.size + 1))
    return PairedDifference(float(point_a - point_b), low, high, float(p))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values, float64, in the order given."""
    p = real_array(np.asarray(p_values, np.float64), "p-values", ndim=1)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
