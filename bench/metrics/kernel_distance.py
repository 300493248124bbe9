"""Kernel Inception Distance.

    k(x, y) = (x.y / D + 1)^3
    KID = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

Binkowski et al. 2018, section 4. `unbiased` is that U-statistic over all pairs: the expectation of every
subset estimator, free of its Monte-Carlo noise; its error is a jackknife over the images of both sets.
`subset` is the estimator of torch-fidelity (and DFMGAN, clean-fid): the mean over 100 random subsets of a
named size, on the same subsets (numpy's RandomState, the same draws), from one Gram matrix; its error is the
standard deviation over subsets. Not the biased V-statistic, not scaled by 1,000.

Precision: float64. `subset` 1e-6 relative of torch-fidelity, which keeps the Gram matrix in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.metrics.estimate import Estimate
from bench.metrics.inputs import (
    MetricInputError,
    UndefinedMetricError,
    finite_result,
    real_array,
    require_choice,
)

ROWS_A_BLOCK = 2048


def kid(
    x: Any,
    y: Any,
    estimator: str = "unbiased",
    *,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int = 2020,
) -> Estimate:
    """Kernel Inception Distance of features x [N, D] and y [M, D]; can be below 0.

    estimator: `unbiased` or `subset`. subset_size: for `subset`, default min(N, M, 1000), DFMGAN's rule
    (torch-fidelity refuses fewer than 1,000 images); name it beside the number.
    Raises MetricInputError; UndefinedMetricError where a set holds one image only.

    Precision: see the module.
    """
    require_choice(estimator, ("unbiased", "subset"), "KID estimator")
    a, b = feature_pair(x, y)
    if estimator == "unbiased":
        return _unbiased(a, b)
    size = min(len(a), len(b), 1000) if subset_size is None else subset_size
    if not 2 <= size <= min(len(a), len(b)):
        raise MetricInputError(
            f"subset_size {size} must be from 2 to the smaller set's {min(len(a), len(b))} images"
        )
    if subsets < 1:
        raise MetricInputError(f"subsets must be at least 1, not {subsets}")
    return _subset_mean(a, b, subsets, size, seed)


def feature_pair(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two checked sets of features of one width, at least two rows each."""
    a, b = real_array(x, "x", ndim=2), real_array(y, "y", ndim=2)
    if a.shape[1] != b.shape[1]:
        raise MetricInputError(
            f"x has {a.shape[1]} features an image and y {b.shape[1]}; they must be the same"
        )
    if min(len(a), len(b)) < 2:
        raise UndefinedMetricError("a distance between sets needs at least two images in each")
    return a, b


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a.b / D + 1)^3 for all pairs, float64 [N, M]."""
    with np.errstate(over="ignore"):
        gram = a.astype(np.float64) @ b.astype(np.float64).T
        gram /= a.shape[1]
        gram += 1.0
        return gram * gram * gram


def _unbiased(a: np.ndarray, b: np.ndarray) -> Estimate:
    n, m = len(a), len(b)
    own_a, own_b = (_sums_without_self(s) for s in (a, b))
    from_a, from_b = np.zeros(n), np.zeros(m)
    for rows, block in _blocks(a, b):
        from_a[rows] = block.sum(axis=1)
        from_b += block.sum(axis=0)
    total_a, total_b, cross = own_a.sum(), own_b.sum(), from_a.sum()
    value = total_a / (n * (n - 1)) + total_b / (m * (m - 1)) - 2 * cross / (n * m)
    finite_result(value, "KID")
    variance, used = 0.0, 0
    for own, total, across, size, fixed, other in (
        (own_a, total_a, from_a, n, total_b / (m * (m - 1)), m),
        (own_b, total_b, from_b, m, total_a / (n * (n - 1)), n),
    ):
        if size < 3:  # leaving one of two out leaves no pair
            continue
        left_out = (total - 2 * own) / ((size - 1) * (size - 2)) + fixed
        left_out -= 2 * (cross - across) / ((size - 1) * other)
        variance += (size - 1) / size * np.sum((left_out - left_out.mean()) ** 2)
        used += size
    return Estimate(float(value), float(np.sqrt(variance)), "jackknife over images", used)


def _subset_mean(a: np.ndarray, b: np.ndarray, subsets: int, size: int, seed: int) -> Estimate:
    rng = np.random.RandomState(seed)  # torch-fidelity's generator, for the same subsets
    in_a, in_b = np.zeros((subsets, len(a))), np.zeros((subsets, len(b)))
    for s in range(subsets):
        in_a[s, rng.choice(len(a), size, replace=False)] = 1.0
        in_b[s, rng.choice(len(b), size, replace=False)] = 1.0
    # a subset's kernel sum is s^T K s for its 0/1 indicator s, so one Gram matrix serves all subsets
    within = _indicator_sums(a, a, in_a, in_a, drop_self=True) + _indicator_sums(
        b, b, in_b, in_b, drop_self=True
    )
    cross = _indicator_sums(a, b, in_a, in_b, drop_self=False)
    values = within / (size * (size - 1)) - 2 * cross / size**2
    value = finite_result(float(values.mean()), "KID")
    return Estimate(value, float(values.std()), f"standard deviation over subsets of {size}", subsets)


def _indicator_sums(
    a: np.ndarray, b: np.ndarray, in_a: np.ndarray, in_b: np.ndarray, *, drop_self: bool
) -> np.ndarray:
    sums = np.zeros(len(in_a))
    for rows, block in _blocks(a, b):
        if drop_self:
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = 0.0
        if (in_a[:, rows] == 1).all() and (in_b == 1).all():
            sums += block.sum()  # every subset is the whole set
        else:
            sums += ((in_a[:, rows] @ block) * in_b).sum(axis=1)
    return sums


def _sums_without_self(a: np.ndarray) -> np.ndarray:
    sums = np.zeros(len(a))
    for rows, block in _blocks(a, a):
        sums[rows] = block.sum(axis=1) - block[np.arange(len(block)), np.arange(rows.start, rows.stop)]
    return sums


def _blocks(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(a), ROWS_A_BLOCK):
        rows = slice(start, min(start + ROWS_A_BLOCK, len(a)))
        yield rows, kernel(a[rows], b)
