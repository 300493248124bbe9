"""Exact nearest neighbours in a memory of vectors, by matrix products in tiles that stay in the cache.

|q - m|^2 = |q|^2 - 2 (q m - |m|^2 / 2): the product finds the neighbours, and their distances are then taken
directly, so that no cancellation enters a distance. All vectors are moved to the memory's mean beforehand,
which keeps the products small where the distances are.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

TILE_QUERIES, TILE_MEMORIES = 256, 2048
FARTHEST = float(np.finfo(np.float32).max)


class Memory:
    """Vectors float32 (M, D) to be searched."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors
        self.centre = vectors.mean(dim=0)
        self.moved = vectors - self.centre
        self.halves = self.moved.square().sum(dim=1) / 2

    def __len__(self) -> int:
        return len(self.vectors)

    def nearest(self, queries: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """Squared distances float32 (Q, k), ascending, and rows int64 (Q, k) of the k nearest vectors.

        ValueError if there are fewer than k.
        """
        if k > len(self):
            raise ValueError(f"{k} neighbours asked of a memory of {len(self)} vectors")
        distances, rows = [], []
        for part in queries.split(TILE_QUERIES):
            moved = part - self.centre
            if k == 1:
                row = nearest_of(moved, self.moved, self.halves)
                found = torch.from_numpy(row).to(part.device)[:, None]
            else:
                gaps = torch.addmm(self.halves, moved, self.moved.T, alpha=-1)
                found = gaps.topk(k, dim=1, largest=False).indices
            gaps = (part[:, None].double() - self.vectors[found].double()).square().sum(dim=2)  # (Q, k)
            gaps, order = gaps.sort(dim=1, stable=True)
            distances.append(gaps.float())
            rows.append(found.gather(1, order))
        return torch.cat(distances), torch.cat(rows)


def nearest_of(queries: Tensor, vectors: Tensor, halves: Tensor) -> np.ndarray:
    """The row of `vectors` (M, D) nearest to each of `queries` (Q, D), int64 [Q]; `halves` (M,) holds half
    the squared length of each vector. Q is at most 256."""
    if queries.device.type != "cpu":
        return torch.addmm(halves, queries, vectors.T, alpha=-1).argmin(dim=1).cpu().numpy()
    best = np.full(len(queries), FARTHEST, np.float32)
    at = np.zeros(len(queries), np.int64)
    for low in range(0, len(vectors), TILE_MEMORIES):
        part = vectors[low : low + TILE_MEMORIES]
        products = _buffer()[: len(queries) * len(part)].view(len(queries), len(part))
        torch.mm(queries, part.T, out=products)
        _nearer(products.numpy(), halves[low : low + TILE_MEMORIES].numpy(), low, best, at)
    return at


_BUFFERS: list[Tensor] = []


def _buffer() -> Tensor:
    # Fresh memory of this size comes from the system, page by page, at many times the cost of the product.
    if not _BUFFERS:
        _BUFFERS.append(torch.empty(TILE_QUERIES * TILE_MEMORIES))
    return _BUFFERS[0]


@numba.njit(cache=True, fastmath=True)
def _nearer(products: np.ndarray, halves: np.ndarray, offset: int, best: np.ndarray, at: np.ndarray) -> None:
    """Take in the vectors `offset`, `offset` + 1, ...: half their squared lengths less their products with a
    query order them by distance. The least of a strip is found first, its place only where it is less."""
    queries, count = products.shape
    for row in range(queries):
        for start in range(0, count, 64):
            stop, least = min(start + 64, count), np.float32(FARTHEST)
            for j in range(start, stop):
                least = min(least, halves[j] - products[row, j])
            if least < best[row]:
                best[row] = least
                for j in range(start, stop):
                    if halves[j] - products[row, j] <= least:
                        at[row] = offset + j
                        break
