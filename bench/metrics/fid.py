"""Frechet Inception Distance.

    FID = |mu_x - mu_y|^2 + tr S_x + tr S_y - 2 tr (S_x S_y)^(1/2)

Heusel et al. 2017, equation 6; covariances with N - 1. With A^T A = S_x and B^T B = S_y, A of N - 1 rows and
B of M - 1, the last trace is the nuclear norm of A B^T: exact also where N < D makes the covariances singular
and the matrix root of other libraries loses digits. Its singular values are roots of eigenvalues of a
symmetric matrix, three times as fast, as long as the bound on what the squares lose is below 1e-8 of FID.

Precision: float64. Against torch-fidelity's eigenvalues of S_x S_y 1e-6 relative (with float32 features and
N < D its own rounding is the larger part).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.inputs import finite_result
from bench.metrics.kid import feature_pair
from bench.metrics.one_thread import on_one_blas_thread

LOSS = 1e-8
"""Share of FID that the eigenvalues' rounding may be; beyond it the slower singular values are taken."""


@on_one_blas_thread
def fid(x: Any, y: Any) -> float:
    """Frechet distance of features x [N, D] and y [M, D]; 0 or above up to rounding.

    Strongly biased for few images (Chong and Forsyth 2020): compare equal counts only.
    Raises MetricInputError; UndefinedMetricError where a set holds one image only.

    Precision: see the module.
    """
    first, second = feature_pair(x, y)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused by name
        gap = first.mean(axis=0) - second.mean(axis=0)
        a, b = _root(first), _root(second)
        spread = np.einsum("nd,nd->", a, a) + np.einsum("nd,nd->", b, b)
        without_cross = finite_result(float(gap @ gap + spread), "FID")
    cross = _few_rows(a) @ _few_rows(b).T
    norm, bound = _nuclear_norm(cross)
    if bound > LOSS * abs(without_cross - 2.0 * norm):
        norm = float(np.linalg.svd(cross, compute_uv=False).sum())
    return without_cross - 2.0 * norm


def _root(features: np.ndarray) -> np.ndarray:
    """A [N - 1, D] with A^T A the covariance of features [N, D].

    A reflection takes the constant vector to the first axis; without that row the features are centred, and
    no row depends on the others, as one of N centred rows does.
    """
    n = len(features)
    shift = (features.sum(axis=0) + np.sqrt(n) * features[0]) / (n + np.sqrt(n))
    rows = features[1:] - shift
    rows /= np.sqrt(n - 1)
    return rows


def _nuclear_norm(matrix: np.ndarray) -> tuple[float, float]:
    """(sum of the singular values by the eigenvalues of the smaller Gram matrix, bound on its error)."""
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    eigenvalues = np.maximum(np.linalg.eigvalsh(wide @ wide.T), 0.0)
    values = np.sqrt(eigenvalues)
    # twice as many roundings of the largest as any was seen to be off: 8 to 73 for 60 to 1,000 rows
    off = (8 + len(wide) / 8) * np.finfo(float).eps * eigenvalues[-1]
    # a value s of a square that is `off` wrong is off / s wrong, and sqrt(off) at most
    return float(values.sum()), float(np.minimum(off / np.maximum(values, 1e-300), np.sqrt(off)).sum())


def _few_rows(a: np.ndarray) -> np.ndarray:
    """A matrix with the same a^T a and at most as many rows as columns."""
    return np.asarray(np.linalg.qr(a, mode="r")) if len(a) > a.shape[1] else a
