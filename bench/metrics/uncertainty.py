"""How sure a value is: its standard error, its 95 % interval, and whether a difference may be chance.

One rule for all that states an error: records, leaderboards, ranks, gains, `bench compare` and the gate. It
must hold for few images too, of which a plain bootstrap says too little (docs/measured/intervals.md).

    error      standard deviation of the resamples, times sqrt(n / (n - 1)) of each stratum, which a
               bootstrap of n images loses (Efron and Tibshirani 1993, section 5.3)
    df         degrees of freedom of that error: n - 1; of sums with parts of several n by Satterthwaite 1946
    interval   the union of value +- t error (Student, df), of the same about the value less the bias that
               its resamples show (the best threshold of few images flatters), of the percentiles of the
               resamples at the level at which a normal variable lies beyond t (the expanded percentile
               interval, Hesterberg 2015, section 5), and, of a share, of what n images have not shown: that
               may be up to 1 - 0.025^(1/n) of all (the exact bound of none among n, Clopper and Pearson
               1934), and as bad or as good as can be. So a share always has an interval, never of width
               zero, and the value lies in it
    p          of "both are equal", Student's t with the lesser df. Below `FEWEST` - 1 degrees of freedom,
               those of six images, nothing is tested: any test that trusts no distribution has a least p of
               2 / 2^n, above 5 % for 5 images. Where nothing varied nothing is tested either
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ALPHA = 0.05
"""Chance at which an interval misses, and at which a family of differences holds a false one."""
FEWEST = 6
"""Images (degrees of freedom, plus one) of which a difference can first be beyond chance."""
SHARE = (0.0, 1.0)
"""The bounds of a fraction."""
UNSEEN = ALPHA / 2
"""Chance that n images miss all of a share of the images that there are, which is taken as too small."""

Bounds = tuple[float, float]


@dataclass(frozen=True)
class StandardError:
    """A standard error, and by how many degrees of freedom it is known; of one image it is not: NaN, 0."""

    error: float
    df: float

    @property
    def images(self) -> float:
        """As many images (splits, clusters) as know an error this well."""
        return self.df + 1

    @property
    def is_known(self) -> bool:
        return self.df >= 1 and math.isfinite(self.error)

    @property
    def can_be_tested(self) -> bool:
        """Whether a difference with this error may be called more than chance."""
        return self.is_known and self.error > 0 and self.images >= FEWEST


UNKNOWN = StandardError(math.nan, 0.0)


def spread_of_mean(values: Sequence[float]) -> StandardError:
    """The spread of the mean of independent values; of one it is unknown."""
    n = len(values)
    if n < 2:
        return UNKNOWN
    return StandardError(float(np.std(values, ddof=1)) / math.sqrt(n), n - 1)


def spread_of_draws(draws: np.ndarray, counts: np.ndarray, strata: np.ndarray | None = None) -> StandardError:
    """The spread of a value with bootstrap draws [R] of n images, drawn `counts` int [R, N] times.

    strata: [N] labels, as `resample_counts` had them. How much of the variance each stratum brings is seen
    from the covariance of the draws with its counts (the infinitesimal jackknife, Efron 2014, equation 3.7,
    less its Monte-Carlo bias); unknown where a stratum is of one image.
    """
    labels = np.zeros(counts.shape[1], int) if strata is None else np.asarray(strata)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    sizes = np.array([len(rows) for rows in members], dtype=np.float64)
    if sizes.min() < 2 or len(draws) < 2:
        return UNKNOWN
    centred = draws - draws.mean()
    variance = float(np.mean(centred * centred))
    # einsum and not a matrix product: the sums of a record do not depend on threads
    influence = np.einsum("rn,r->n", counts.astype(np.float64) - 1.0, centred) / len(draws)
    raw = np.array([np.sum(influence[rows] ** 2) for rows in members])
    parts = np.maximum(raw - (sizes - 1) * variance / len(draws), 0.0)
    if len(members) == 1 or parts.sum() == 0:
        # nothing says which stratum it is: the smallest, which is never too sure
        parts = (sizes == sizes.min()).astype(np.float64)
    shares = parts / parts.sum()
    scale = float(np.sum(shares * sizes / (sizes - 1)))
    df = 1.0 / float(np.sum(shares * shares / (sizes - 1)))
    return StandardError(math.sqrt(variance * scale), df)


def spread_of_average(spreads: Sequence[StandardError]) -> StandardError:
    """The spread of the plain average of independent values; unknown where one of theirs is."""
    if not spreads or not all(spread.is_known for spread in spreads):
        return UNKNOWN
    variances = [spread.error**2 for spread in spreads]
    error = math.sqrt(sum(variances)) / len(spreads)
    return StandardError(error, joint_df(variances, [spread.df for spread in spreads]))


def joint_df(variances: Sequence[float], dfs: Sequence[float]) -> float:
    """Satterthwaite's degrees of freedom of a sum of independent variances."""
    total = sum(variances)
    if total == 0:
        return float(sum(dfs))
    doubt = sum((variance / total) ** 2 / df for variance, df in zip(variances, dfs, strict=True))
    return 1.0 / doubt if doubt > 0 else math.inf


def interval(
    value: float, spread: StandardError, draws: np.ndarray | None = None, bounds: Bounds | None = None
) -> Bounds | None:
    """The 95 % interval of a value, or None where nothing is known.

    draws: its resamples [R], as they were drawn or `widened`. bounds: the least and the greatest value that
    there can be; (0, 1) makes it a share, of which n images may not have shown all.
    """
    low = high = value
    if spread.is_known and spread.error > 0:
        t = t_quantile(spread.df)
        low, high = value - t * spread.error, value + t * spread.error
        finite = np.empty(0) if draws is None else draws[np.isfinite(draws)]
        if len(finite) > 1:
            ends = _quantiles(np.sort(widened(finite, spread.error)), _normal_tail(t))
            bias = float(finite.mean()) - value
            low, high = min(low, low - bias, ends[0]), max(high, high - bias, ends[1])
    if bounds == SHARE:
        unseen = 1.0 - UNSEEN ** (1.0 / spread.images)
        low, high = min(low, value * (1.0 - unseen)), max(high, value + unseen * (1.0 - value))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return (low, high) if low < high else None


def widened(draws: np.ndarray, error: float) -> np.ndarray:
    """The draws about their mean with this standard deviation; those that are not finite stay."""
    finite = draws[np.isfinite(draws)]
    middle, deviation = (float(finite.mean()), float(np.std(finite))) if len(finite) else (0.0, 0.0)
    return middle + (draws - middle) * (error / deviation) if deviation > 0 else draws


def excludes_zero(bounds: Bounds | None) -> bool:
    """Whether an interval of a difference is known and lies on one side of zero."""
    return bounds is not None and not bounds[0] <= 0.0 <= bounds[1]


def p_equal(difference: float, spread: StandardError) -> float | None:
    """Two-sided p of a difference that is nothing but chance; None where that cannot be tested."""
    if difference == 0.0:
        return 1.0
    if not spread.can_be_tested:
        return None
    return 2.0 * float(t_tail(abs(difference) / spread.error, spread.df))


def t_tail(t: float | np.ndarray, df: float | np.ndarray) -> float | np.ndarray:
    """P(T > t) of Student's t; of a normal variable where df is infinite."""
    from scipy.special import ndtr, stdtr

    return np.where(np.isfinite(df), stdtr(np.where(np.isfinite(df), df, 1.0), -np.asarray(t)), ndtr(-t))


@functools.lru_cache(maxsize=4096)
def t_quantile(df: float, level: float = 1 - ALPHA / 2) -> float:
    """What Student's t stays below with probability `level`."""
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(df, level)) if math.isfinite(df) else float(ndtri(level))


def _normal_tail(t: float) -> float:
    return 0.5 * math.erfc(t / math.sqrt(2))


def _quantiles(ordered: np.ndarray, tail: float) -> Bounds:
    """The values of an ascending array with a share `tail` below, and above (numpy's linear quantiles)."""
    position = (len(ordered) - 1) * tail
    below, part = int(position), position - int(position)
    up, down = ordered[below : below + 2], ordered[::-1][below : below + 2]
    ends = [float(pair[0] + (pair[-1] - pair[0]) * part) for pair in (up, down)]
    return ends[0], ends[1]
