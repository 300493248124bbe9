"""Which vectors of a memory can be nearest to a query, by products of vectors that are rounded to bfloat16.

With q = q' + e and m = m' + f, the primed ones rounded, |q m - q' m'| <= |e| |m| + |q'| |f|, and what the
product adds by its own rounding is bounded too. So every product has an interval; a vector whose least
possible distance is above the least of all largest possible ones is out. On features of images one to two are
left of thousands, and their distances are then taken in double precision.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

QUERIES = 512
MOST_LEFT = 128
"""Vectors whose distances are taken one by one; of more, the query is left to a search in float32."""
LANES = 64
RESULT = np.float32(1.01 * 2.0**-8)
"""Largest relative rounding of a product that is stored as bfloat16."""
SINGLE = np.float32(2.0**-23)
"""Twice the largest relative rounding of a step in float32."""


class Screen:
    """A memory of vectors float32 (M, D) on the CPU; `moved`: the same about another origin, `halves` (M,):
    half the squared lengths of those."""

    def __init__(self, vectors: Tensor, moved: Tensor, halves: Tensor) -> None:
        self.vectors = vectors.numpy()
        more = -len(vectors) % LANES  # rows that are infinitely far away make the lanes even
        self.halves = F.pad(halves, (0, more), value=torch.inf).numpy()
        self.lengths = F.pad(torch.sqrt(2 * halves), (0, more)).numpy()
        self.rounded, self.lost = _rounded(F.pad(moved, (0, 0, 0, more)))

    def nearest(self, queries: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances float64 and rows int64 (Q, 1) of the nearest vectors of queries (Q, D).

        A row is -1 where more than 128 vectors are left, or where values are not finite.
        """
        gaps = torch.empty(len(queries), dtype=torch.float64)
        rows = torch.empty(len(queries), dtype=torch.int64)
        for start in range(0, len(queries), QUERIES):
            part = slice(start, start + QUERIES)
            rounded, lost = _rounded(moved[part])
            lengths = torch.linalg.vector_norm(moved[part], dim=1).numpy()
            products = torch.mm(rounded, self.rounded.T).view(torch.uint16).numpy()
            steps = moved.shape[1] * SINGLE
            _settle(
                products,
                self.halves,
                (1 + SINGLE) * (lengths + lost),
                self.lost,
                lost + steps * lengths,
                self.lengths,
                queries[part].numpy(),
                self.vectors,
                gaps[part].numpy(),
                rows[part].numpy(),
            )
        return gaps[:, None], rows[:, None]


def _rounded(vectors: Tensor) -> tuple[Tensor, np.ndarray]:
    """The vectors in bfloat16, and the lengths of what that takes away, float32 [N]."""
    rounded = vectors.bfloat16()
    lost = torch.linalg.vector_norm(vectors - rounded.float(), dim=1)
    return rounded, lost.numpy()


@numba.njit(cache=True, nogil=True, inline="always", fastmath={"reassoc", "contract", "nsz"})
def _bounds(bits, halves, by_lost, lost, by_length, lengths, least, lowest, highest):  # type: ignore[no-untyped-def]
    """Fills `least`, half the least possible squared distances less what is the query's own, and takes them
    and the largest possible ones into the minima of the lanes: one for all would be a serial chain."""
    for m in range(LANES):
        product = np.uint32(np.uint32(bits[m]) << np.uint32(16)).view(np.float32)
        wrong = by_lost * lost[m] + by_length * lengths[m] + RESULT * abs(product) + SINGLE * halves[m]
        low, high = halves[m] - product - wrong, halves[m] - product + wrong
        least[m] = low
        lowest[m] = low if low < lowest[m] else lowest[m]
        highest[m] = high if high < highest[m] else highest[m]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _settle(products, halves, by_lost, lost, by_length, lengths, queries, vectors, gaps, rows):  # type: ignore[no-untyped-def]
    """Fills gaps float64 [Q] and rows int64 [Q]; products: bits of bfloat16, uint16 [Q, M].

    A product may be wrong by by_lost[q] * lost[m] + by_length[q] * lengths[m] and its roundings.
    """
    count = len(halves)
    least = np.empty(count, np.float32)
    lowest, highest = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    candidates = np.empty(MOST_LEFT, np.int64)
    for q in range(len(products)):
        lowest[:], highest[:] = np.inf, np.inf
        for start in range(0, count, LANES):
            _bounds(
                products[q, start : start + LANES],
                halves[start : start + LANES],
                by_lost[q],
                lost[start : start + LANES],
                by_length[q],
                lengths[start : start + LANES],
                least[start : start + LANES],
                lowest,
                highest,
            )
        bound = highest.min()
        count_left = 0
        for lane in range(LANES):
            if lowest[lane] <= bound:
                for m in range(lane, count, LANES):
                    if least[m] <= bound:
                        if count_left < MOST_LEFT:
                            candidates[count_left] = m
                        count_left += 1
        rows[q] = -1
        if count_left > MOST_LEFT:
            continue
        for m in np.sort(candidates[:count_left]):
            gap = 0.0
            for d in range(queries.shape[1]):
                difference = np.float64(queries[q, d]) - np.float64(vectors[m, d])
                gap += difference * difference
            if rows[q] < 0 or gap < gaps[q]:
                gaps[q], rows[q] = gap, m
