"""Outlines of damage: strokes along a path and ragged blobs.

Both are fields that are 0 at the core and 1 at the edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.sample import portable
from bench.sample.noise import fractal
from bench.sample.surface import Array, Frame

FAR = np.float32(9)


@dataclass(frozen=True)
class Path:
    """A stroke: `points` (K, 2) in image coordinates, `halfwidths` (K,) in image widths."""

    points: Array
    halfwidths: Array


def walk(
    rng: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    length: float,
    halfwidth: float,
    turn: float,
    steps: int,
) -> Path:
    """A path that turns by about `turn` radians a step and tapers to both ends."""
    headings = heading + np.cumsum(rng.normal(0, turn, steps))
    strides = length / steps * np.stack([portable.cos(headings), portable.sin(headings)], 1)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(strides, 0)]) + np.asarray(start)
    t = np.linspace(0, 1, steps + 1)
    taper = np.minimum(1, 0.3 + 3.5 * np.minimum(t, 1 - t)) * portable.exp(
        0.18 * rng.standard_normal(steps + 1)
    )
    return Path(points, halfwidth * taper)


def stroke_field(frame: Frame, paths: list[Path], reach: float = 1.0) -> tuple[Array, Array]:
    """Distance from the nearest path over its half width, (H, W), `FAR` beyond `reach`; and that half width.

    A path thinner than 1.3 pixels of the final image is widened to that; the second result says by how much
    its relief is to be weakened (1 where it was wide enough).
    """
    size = frame.size
    field = np.full((size, size), FAR, np.float32)
    strength = np.ones((size, size), np.float32)
    floor = 0.65 * frame.pixel
    for path in paths:
        wide = np.maximum(path.halfwidths, floor)
        for k in range(len(path.points) - 1):
            a, b = path.points[k], path.points[k + 1]
            margin = reach * max(wide[k], wide[k + 1]) + 1 / size
            low = np.floor((np.minimum(a, b) - margin) * size).astype(int)
            high = np.ceil((np.maximum(a, b) + margin) * size).astype(int) + 1
            x0, y0 = np.clip(low, 0, size)
            x1, y1 = np.clip(high, 0, size)
            if x0 >= x1 or y0 >= y1:
                continue
            window = (slice(y0, y1), slice(x0, x1))
            px, py = frame.x[window] - a[0], frame.y[window] - a[1]
            ab = b - a
            t = np.clip((px * ab[0] + py * ab[1]) / max(float(ab[0] * ab[0] + ab[1] * ab[1]), 1e-12), 0, 1)
            half = wide[k] + (wide[k + 1] - wide[k]) * t
            dx, dy = px - t * ab[0], py - t * ab[1]
            q = (np.sqrt(dx * dx + dy * dy) / half).astype(np.float32)
            nearer = q < field[window]
            thin = min(1.0, 0.5 * float(path.halfwidths[k] + path.halfwidths[k + 1]) / floor)
            strength[window] = np.where(nearer, max(0.55, thin), strength[window])
            field[window] = np.minimum(field[window], q)
    return np.where(field > reach, FAR, field), strength


def blob_field(
    frame: Frame,
    rng: np.random.Generator,
    centre: tuple[float, float],
    radius: float,
    aspect: float = 1.0,
    ragged: float = 0.15,
) -> Array:
    """Distance from `centre` over the radius of an ellipse with a ragged outline, (H, W)."""
    angle = rng.uniform(0, np.pi)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    dx, dy = frame.x - np.float32(centre[0]), frame.y - np.float32(centre[1])
    a, b = (c * dx + s * dy) * np.float32(aspect**0.5), (c * dy - s * dx) * np.float32(aspect**-0.5)
    radius = max(radius, 1.2 * frame.pixel)
    lobes = int(np.clip(0.55 / radius, 4, 40))
    outline = 1 + np.float32(ragged) * fractal(rng, frame.size, lobes, 4, 0.55)
    return np.sqrt(a * a + b * b) / np.float32(radius) / np.clip(outline, 0.35, 2)
