"""Exact nearest neighbours in a memory of vectors, by matrix products in tiles that stay in the cache.

|q - m|^2 = |q|^2 - 2 (q m - |m|^2 / 2): the product finds the neighbours, and their distances are then taken
directly, so that no cancellation enters a distance. All vectors are moved to the memory's mean beforehand,
which keeps the products small where the distances are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

TILE_QUERIES, TILE_MEMORIES, STRIP = 1024, 2048, 64


class Memory:
    """Vectors float32 (M, D) to be searched."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors
        self.centre = vectors.mean(dim=0)
        self.moved = vectors - self.centre
        self.halves = self.moved.square().sum(dim=1) / 2
        self._tile = new_tile(TILE_QUERIES)

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
                row = nearest_of(moved, self.moved, self.halves, self._tile)
                found = torch.from_numpy(row).to(part.device)[:, None]
            else:
                gaps = torch.addmm(self.halves, moved, self.moved.T, alpha=-1)
                found = gaps.topk(k, dim=1, largest=False).indices
            gaps = (part[:, None].double() - self.vectors[found].double()).square().sum(dim=2)  # (Q, k)
            gaps, order = gaps.sort(dim=1, stable=True)
            distances.append(gaps.float())
            rows.append(found.gather(1, order))
        return torch.cat(distances), torch.cat(rows)


def new_tile(queries: int) -> Tensor:
    """Room for the products of a tile of at most `queries`, kept from tile to tile: fresh memory comes from
    the system page by page, which can cost several times what the products do."""
    return torch.empty(queries, TILE_MEMORIES)


def nearest_of(queries: Tensor, vectors: Tensor, halves: Tensor, tile: Tensor) -> np.ndarray:
    """The row of `vectors` (M, D) nearest to each of `queries` (Q, D), int64 [Q]; `halves` (M,) holds half
    the squared length of each vector. `tile`, from `new_tile`, has room for Q and is written over."""
    if queries.device.type != "cpu":
        return torch.addmm(halves, queries, vectors.T, alpha=-1).argmin(dim=1).cpu().numpy()
    best, at = None, None
    for low in range(0, len(vectors), TILE_MEMORIES):
        part = vectors[low : low + TILE_MEMORIES]
        gaps = tile[: len(queries), : -(-len(part) // STRIP) * STRIP]
        torch.mm(queries, part.T, out=gaps[:, : len(part)])
        torch.sub(halves[low : low + TILE_MEMORIES], gaps[:, : len(part)], out=gaps[:, : len(part)])
        gaps[:, len(part) :] = torch.inf
        least, index = _least(gaps)
        if best is None or at is None:
            best, at = least, index
        else:
            at = torch.where(least < best, index + low, at)
            best = torch.minimum(least, best)
    assert at is not None, "no vectors to search"
    return at.numpy()


def _least(gaps: Tensor) -> tuple[Tensor, Tensor]:
    """The least of each row and where it is. A minimum over strips runs at the speed of the memory; to look
    for the place at once takes ten times as long."""
    strips = gaps.unflatten(1, (-1, STRIP))
    least, column = strips.amin(dim=1).min(dim=1)
    lines = strips.gather(2, column[:, None, None].expand(-1, strips.shape[1], 1))[..., 0]
    return least, lines.argmin(dim=1) * STRIP + column
