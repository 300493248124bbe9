"""Random projections before the greedy selection: distances nearly stay, in fewer values."""

from __future__ import annotations

import math

import numpy as np

DENSE = 128
EPSILON = 0.9


def dense(rng: np.random.Generator, width: int) -> np.ndarray:
    """float32 [width, 128], as torch initialises a linear layer; the released code's projection."""
    reach = 1 / math.sqrt(width)
    return rng.uniform(-reach, reach, (DENSE, width)).astype(np.float32).T


def sparse(rng: np.random.Generator, width: int, points: int) -> np.ndarray:
    """float32 [width, length]: anomalib's projection (Li, Hastie & Church, KDD 2006).

    A value is 0 but for a share 1 / sqrt(width) of them, which are +-width^(1/4) / sqrt(length). The length
    is that of the Johnson-Lindenstrauss lemma for `points` points and a distortion of 0.9.
    """
    length = int(4 * math.log(points) / (EPSILON**2 / 2 - EPSILON**3 / 3))
    share = 1 / math.sqrt(width)
    signs = rng.integers(2, size=(length, width)) * 2 - 1
    kept = rng.random((length, width)) < share
    return (signs * kept * (1 / math.sqrt(share * length))).astype(np.float32).T
