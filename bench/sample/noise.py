"""Random streams and random fields.

Fields are cubic B-splines over a lattice of normal values. The lattice depends on the stream alone, so the
same stream shows the same field at any image size, and only sums and products are taken, so that the values
do not depend on the processor.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable
from functools import lru_cache, reduce

import numpy as np
from scipy import ndimage

from bench.sample.surface import Array

_SPLINE_STD = 0.479  # of a bicubic B-spline over unit normal values, mean over a cell


def stream(*parts: str | int) -> np.random.Generator:
    """A generator that depends on `parts` and on nothing else."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def _total(terms: Iterable[Array]) -> Array:
    return reduce(operator.add, terms)


def _weights(f: Array) -> list[Array]:
    rest, square = 1 - f, f * f
    cube = square * f
    return [
        rest * rest * rest / 6,
        (3 * cube - 6 * square + 4) / 6,
        (-3 * cube + 3 * square + 3 * f + 1) / 6,
        cube / 6,
    ]


@lru_cache(maxsize=512)
def _taps(size: int, cells: int) -> tuple[Array, list[Array]]:
    t = (np.arange(size) + 0.5) / size * cells
    cell = np.floor(t).astype(np.intp)
    return cell, [w.astype(np.float32) for w in _weights(t - cell)]


def spline(rng: np.random.Generator, size: int, across: int, down: int | None = None) -> Array:
    """Smooth noise, (size, size) float32, mean 0, standard deviation about 1.

    `across` and `down` are the lattice cells over the image's width and height. Detail finer than two pixels
    fades out instead of aliasing.
    """
    down = across if down is None else down
    lattice = rng.standard_normal((down + 3, across + 3), dtype=np.float32)
    resolved = np.clip(2 - 2 * max(across, down) / size, 0, 1) / _SPLINE_STD
    iy, wy = _taps(size, down)
    ix, wx = _taps(size, across)
    rows = _total(lattice[iy + k] * (wy[k] * np.float32(resolved))[:, None] for k in range(4))
    return _total(np.take(rows, ix + k, axis=1) * wx[k] for k in range(4))


def fractal(rng: np.random.Generator, size: int, cells: int, octaves: int, gain: float = 0.5) -> Array:
    """Octaves of `spline`, each twice as fine and `gain` times as strong; standard deviation about 1."""
    total = _total(np.float32(gain**k) * spline(rng, size, cells * 2**k) for k in range(octaves))
    return total / np.float32(np.sqrt(sum(gain ** (2 * k) for k in range(octaves))))


def along(rng: np.random.Generator, t: Array, cells: int) -> Array:
    """Smooth noise over one coordinate `t` (period 1, any shape), standard deviation about 1."""
    lattice = rng.standard_normal(cells, dtype=np.float32) / np.float32(np.sqrt(_SPLINE_STD))
    t = t * cells
    cell = np.floor(t)
    index = cell.astype(np.intp)
    return _total(
        lattice[(index + k) % cells] * w for k, w in enumerate(_weights((t - cell).astype(np.float32)))
    )


def over(rng: np.random.Generator, s: Array, t: Array, cells_s: int, cells_t: int) -> Array:
    """Noise over two curved coordinates (period 1 each), bilinear, standard deviation about 1."""
    lattice = rng.standard_normal((cells_s, cells_t), dtype=np.float32)
    where = np.stack([s * cells_s, t * cells_t])
    return 1.5 * ndimage.map_coordinates(lattice, where, order=1, mode="grid-wrap", output=np.float32)


def cells(rng: np.random.Generator, x: Array, y: Array, count: int) -> tuple[Array, Array, Array]:
    """Cellular noise (Worley 1996): distances to the nearest and the next feature point, and a cell's value.

    `x`, `y` in 0..1 and a little beyond; distances are in cell widths, values are uniform in 0..1.
    """
    pad = 4
    side = count + 2 * pad
    jitter = rng.random((3, side, side), dtype=np.float32)
    gx, gy = x * count + pad, y * count + pad
    ix, iy = np.clip(gx.astype(np.intp), 1, side - 2), np.clip(gy.astype(np.intp), 1, side - 2)
    nearest = np.full(x.shape, 9, np.float32)
    second, value = nearest.copy(), np.zeros(x.shape, np.float32)
    flat = [j.ravel() for j in jitter]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            at = (iy + dy) * side + ix + dx
            px = (ix + dx) + flat[0][at] - gx
            py = (iy + dy) + flat[1][at] - gy
            distance = px * px + py * py
            closer = distance < nearest
            second = np.minimum(second, np.maximum(distance, nearest))
            value = np.where(closer, flat[2][at], value)
            nearest = np.minimum(nearest, distance)
    return np.sqrt(nearest).astype(np.float32), np.sqrt(second).astype(np.float32), value
