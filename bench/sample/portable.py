"""Exponentials, powers and angles of whole fields, to the same bits on every processor.

numpy takes them by instructions that it chooses by the processor, and their last bits differ. Here they are
taken in double precision and rounded to single: then one in some 10^7 values may still differ, by too little
for a pixel of 8 bits to show. Sums, products, quotients and square roots are rounded alike everywhere; single
numbers are left to `math`. Every function takes arrays of floats, or numbers, and returns float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _rounded(function: np.ufunc) -> Callable[..., NDArray[np.float32]]:
    def of(*fields: ArrayLike) -> Any:
        return function(*(np.asarray(field, np.float64) for field in fields)).astype(np.float32)

    return of


arctan2 = _rounded(np.arctan2)
cos = _rounded(np.cos)
exp = _rounded(np.exp)
exp2 = _rounded(np.exp2)
power = _rounded(np.power)
sin = _rounded(np.sin)
tanh = _rounded(np.tanh)
