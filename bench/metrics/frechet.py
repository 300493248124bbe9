"""Frechet Inception Distance.

    FID = |mu_x - mu_y|^2 + tr S_x + tr S_y - 2 tr (S_x S_y)^(1/2)

Heusel et al. 2017, equation 6; covariances with N - 1. With centred features X / sqrt(N - 1) and
Y / sqrt(M - 1) the last trace is the nuclear norm of X Y^T: an N x M singular value problem, exact also
where N < D makes the covariances singular and the matrix root of other libraries loses digits.

Precision: float64. Against torch-fidelity's eigenvalues of S_x S_y 1e-6 relative (with float32 features and
N < D its own rounding is the larger part).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.inputs import finite_result
from bench.metrics.kernel_distance import feature_pair


def fid(x: Any, y: Any) -> float:
    """Frechet distance of features x [N, D] and y [M, D]; 0 or above up to rounding.

    Strongly biased for few images (Chong and Forsyth 2020): compare equal counts only.
    Raises MetricInputError; UndefinedMetricError where a set holds one image only.

    Precision: see the module.
    """
    a, b = feature_pair(x, y)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    a = (a - mean_a) / np.sqrt(len(a) - 1)
    b = (b - mean_b) / np.sqrt(len(b) - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.einsum("nd,nd->", a, a) + np.einsum("nd,nd->", b, b)
        gap = mean_a - mean_b
        finite_result(float(spread + gap @ gap), "FID")
    root = np.linalg.svd(_few_rows(a) @ _few_rows(b).T, compute_uv=False).sum()
    return finite_result(float(gap @ gap + spread - 2.0 * root), "FID")


def _few_rows(a: np.ndarray) -> np.ndarray:
    """A matrix with the same a^T a and at most as many rows as columns."""
    return np.asarray(np.linalg.qr(a, mode="r")) if len(a) > a.shape[1] else a
