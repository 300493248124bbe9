"""Exact nearest neighbours in a memory of vectors, by matrix products in tiles that stay in the cache.

|q - m|^2 = |q|^2 - 2 (q m - |m|^2 / 2): the product finds the neighbours, and their distances are then taken
directly, so that no cancellation enters a distance. All vectors are moved to the memory's mean beforehand,
which keeps the products small where the distances are.

A processor that multiplies bfloat16 does so two to four times as fast as float32. There, one neighbour is
looked for in two steps (`screening`): the few vectors that the rounded product leaves as possible, and among
them the nearest.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detectors.patchcore.screening import Screen

TILE_QUERIES, TILE_MEMORIES, STRIP = 1024, 2048, 64


class Memory:
    """Vectors float32 (M, D) to be searched."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors
        self.centre = vectors.mean(dim=0)
        self.moved = vectors - self.centre
        self.halves = self.moved.square().sum(dim=1) / 2
        self._tile = new_tile(TILE_QUERIES)
        self._screen = (
            Screen(vectors, self.moved, self.halves) if multiplies_bfloat16(vectors.device) else None
        )

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
            gaps, nearest_rows = self._one(part) if k == 1 else self._some(part, k)
            distances.append(gaps.float())
            rows.append(nearest_rows)
        return torch.cat(distances), torch.cat(rows)

    def _some(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Squared distances float64 and rows (Q, k)."""
        products = torch.addmm(self.halves, queries - self.centre, self.moved.T, alpha=-1)
        nearest = products.topk(k, dim=1, largest=False).indices
        gaps, order = self._squared(queries, nearest).sort(dim=1, stable=True)
        return gaps, nearest.gather(1, order)

    def _one(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances float64 and rows (Q, 1)."""
        moved = queries - self.centre
        if self._screen is None:
            return self._one_by_float32(queries, moved)
        gaps, rows = self._screen.nearest(queries, moved)
        undecided = rows[:, 0] < 0
        if undecided.any():
            gaps[undecided], rows[undecided] = self._one_by_float32(queries[undecided], moved[undecided])
        return gaps, rows

    def _one_by_float32(self, queries: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(nearest_of(moved, self.moved, self.halves, self._tile))
        rows = rows.to(queries.device)[:, None]
        return self._squared(queries, rows), rows

    def _squared(self, queries: Tensor, rows: Tensor) -> Tensor:
        return (queries[:, None].double() - self.vectors[rows].double()).square().sum(dim=2)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are faster than those of float32 on this processor."""
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


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
