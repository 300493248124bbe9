"""Kernel Inception Distance.

    k(x, y) = (x.y / D + 1)^3
    KID = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

Binkowski et al. 2018, section 4. `unbiased` is that U-statistic over all pairs: the expectation of every
subset estimator, free of its Monte-Carlo noise; its error is a jackknife over the images of both sets, NaN
where one of them has two images, of which none can be left out.
`subset` is the estimator of torch-fidelity (and DFMGAN, clean-fid): the mean over 100 random subsets of a
named size, on the same subsets (numpy's RandomState, the same draws), from one Gram matrix; its error is the
standard deviation over subsets. Not the biased V-statistic, not scaled by 1,000.

Precision: float64. `subset` 1e-12 relative of torch-fidelity's functions on float64 features, and 1e-6 where
it is given float32, as long as KID is not small against the kernel (its own float32 sums cancel then).
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
from bench.metrics.one_thread import on_one_blas_thread

SUBSET_SIZE = 1000
"""Images of a subset, where the sets have so many."""
ROWS_A_BLOCK = 2048
VALUES_IN_CACHE = 1 << 15


@on_one_blas_thread
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

    estimator: `unbiased`, or `subset`. subset_size: for `subset`, default
    min(N, M, 1000), which is DFMGAN's rule (torch-fidelity refuses fewer than 1,000 images); name it beside
    the number.
    Raises MetricInputError; UndefinedMetricError where a set holds one image only.

    Precision: see the module.
    """
    require_choice(estimator, ("unbiased", "subset"), "KID estimator")
    a, b = feature_pair(x, y)
    if estimator == "unbiased":
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused by name
            return _unbiased(a, b)
    size = min(len(a), len(b), SUBSET_SIZE) if subset_size is None else subset_size
    if not 2 <= size <= min(len(a), len(b)):
        raise MetricInputError(
            f"subset_size {size} must be from 2 to the smaller set's {min(len(a), len(b))} images"
        )
    if subsets < 1:
        raise MetricInputError(f"subsets must be at least 1, not {subsets}")
    with np.errstate(over="ignore", invalid="ignore"):
        return _subset_mean(a, b, subsets, size, seed)


def feature_pair(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two checked sets of features of one width in float64, at least two rows each."""
    a, b = (real_array(side, name, ndim=2).astype(np.float64) for side, name in ((x, "x"), (y, "y")))
    if a.shape[1] != b.shape[1]:
        raise MetricInputError(f"x has {a.shape[1]} features an image and y {b.shape[1]}; they must agree")
    if min(len(a), len(b)) < 2:
        raise UndefinedMetricError("a distance between sets needs at least two images in each")
    return a, b


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a.b / D + 1)^3 for all pairs of float64 rows, [N, M]."""
    gram = a @ b.T  # of a set with itself numpy computes one half
    step = max(1, VALUES_IN_CACHE // len(b))
    for start in range(0, len(a), step):
        rows = gram[start : start + step]
        rows /= a.shape[1]
        rows += 1.0
        rows *= rows * rows
    return gram


def _unbiased(a: np.ndarray, b: np.ndarray) -> Estimate:
    n, m = len(a), len(b)
    own_a, own_b = _sums_without_self(a), _sums_without_self(b)
    from_a, from_b = np.zeros(n), np.zeros(m)
    for rows, columns, block in _blocks(a, b):
        from_a[rows] += block.sum(axis=1)
        from_b[columns] += block.sum(axis=0)
    total_a, total_b, cross = own_a.sum(), own_b.sum(), from_a.sum()
    value = total_a / (n * (n - 1)) + total_b / (m * (m - 1)) - 2 * cross / (n * m)
    finite_result(value, "KID")
    variance = 0.0 if min(n, m) > 2 else float("nan")  # leaving one of two out leaves no pair
    for within, total, across, size, fixed, other in (
        (own_a, total_a, from_a, n, total_b / (m * (m - 1)), m),
        (own_b, total_b, from_b, m, total_a / (n * (n - 1)), n),
    ):
        if size < 3:
            continue
        left_out = (total - 2 * within) / ((size - 1) * (size - 2)) + fixed
        left_out -= 2 * (cross - across) / ((size - 1) * other)
        variance += (size - 1) / size * np.sum((left_out - left_out.mean()) ** 2)
    return Estimate(float(value), float(np.sqrt(variance)), "jackknife over images", n + m)


def _subset_mean(a: np.ndarray, b: np.ndarray, subsets: int, size: int, seed: int) -> Estimate:
    spread = f"standard deviation over subsets of {size}"
    if size == len(a) == len(b):  # every subset is the whole set, and then both estimators are one
        return Estimate(_unbiased(a, b).value, float("nan"), spread, subsets)
    rng = np.random.RandomState(seed)  # torch-fidelity's generator, for the same subsets
    drawn_a, drawn_b = np.empty((subsets, size), int), np.empty((subsets, size), int)
    for s in range(subsets):
        drawn_a[s] = rng.choice(len(a), size, replace=False)
        drawn_b[s] = rng.choice(len(b), size, replace=False)
    within = _subset_sums(a, a, drawn_a, drawn_a) + _subset_sums(b, b, drawn_b, drawn_b)
    values = within / (size * (size - 1)) - 2 * _subset_sums(a, b, drawn_a, drawn_b) / size**2
    value = finite_result(float(values.mean()), "KID")
    return Estimate(value, float(values.std()), spread, subsets)


def _subset_sums(a: np.ndarray, b: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """Kernel sums over the pairs of each subset, without pairs of an image with itself where a is b."""
    # a subset's sum is s^T K t for its 0/1 indicators s and t, so one matrix K serves all subsets
    s_of, t_of = _indicators(in_a, len(a)), _indicators(in_b, len(b))
    sums = np.zeros(len(in_a))
    for rows, columns, block in _blocks(a, b):
        part = ((s_of[:, rows] @ block) * t_of[:, columns]).sum(axis=1)
        sums += 2 * part if a is b and rows != columns else part
    return sums


def _indicators(members: np.ndarray, images: int) -> np.ndarray:
    indicators = np.zeros((len(members), images))
    np.put_along_axis(indicators, members, 1.0, axis=1)
    return indicators


def _sums_without_self(a: np.ndarray) -> np.ndarray:
    sums = np.zeros(len(a))
    for rows, columns, block in _blocks(a, a):
        sums[rows] += block.sum(axis=1)
        if rows != columns:
            sums[columns] += block.sum(axis=0)
    return sums


def _blocks(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """(rows, columns, kernel block); of a set with itself those on and above the diagonal, which is 0."""

    def cuts(side: np.ndarray) -> list[slice]:
        return [slice(i, min(i + ROWS_A_BLOCK, len(side))) for i in range(0, len(side), ROWS_A_BLOCK)]

    for rows in cuts(a):
        for columns in cuts(b):
            if a is b and columns.start < rows.start:
                continue
            block = kernel(a[rows], b[columns])
            if a is b and rows == columns:
                np.fill_diagonal(block, 0.0)
            yield rows, columns, block
