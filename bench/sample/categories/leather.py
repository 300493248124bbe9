"""Leather: pebbled grain of cells and creases, pores, mottled dye."""

from __future__ import annotations

import numpy as np

from bench.sample import portable
from bench.sample.damage import Wear
from bench.sample.noise import cells, fractal, spline
from bench.sample.shading import Rig
from bench.sample.surface import Frame, Scene, Surface, smooth, tinted

RIG = Rig(azimuth=-2.2, elevation=0.75, key=0.95, fill=0.15, ambient=0.3)
POSE = (0.2, 0.06, 0.0)  # largest angle in radians, change of scale, shift

WEAR = Wear(depth=0.006, raw=(0.42, 0.27, 0.16), raw_gloss=0.15)


def build(frame: Frame, rng: np.random.Generator, missing: np.random.Generator | None) -> Scene:
    """A patch of hide, of one of the tannery's batches."""
    size = frame.size
    warp_x, warp_y = fractal(rng, size, 9, 3), fractal(rng, size, 9, 3)
    u, v = frame.u + 0.5 + 0.008 * warp_x, frame.v + 0.5 + 0.008 * warp_y
    coarse = int(rng.integers(26, 34))
    near, far, tone = cells(rng, u, v * rng.uniform(0.85, 1.0), coarse)
    near_fine, far_fine, _ = cells(rng, u, v, coarse * 2 + 5)
    crease, fine_crease = smooth(0.34, 0.0, far - near), smooth(0.3, 0.0, far_fine - near_fine)
    undulation = fractal(rng, size, 3, 3)
    wrinkle = spline(rng, size, 70)
    supple = np.clip(1 + 0.25 * undulation, 0.4, 1.5)  # the grain is finer where the hide was thin
    height = (
        0.0026 * supple * (1 - crease) * (1 - 0.35 * near)
        - 0.0009 * fine_crease
        + 0.0030 * undulation
        + 0.00025 * wrinkle
        + 0.00018 * spline(rng, size, 120)
    )
    dye = np.array([0.205, 0.098, 0.050]) * portable.exp(rng.normal(0, [0.07, 0.09, 0.11]))
    mottle = 1 + 0.07 * fractal(rng, size, 4, 4) + 0.035 * wrinkle + 0.10 * (tone - 0.5)
    albedo = tinted(dye.astype(np.float32), mottle * (1 - 0.30 * supple * crease) * (1 - 0.13 * fine_crease))
    gloss = 0.42 + 0.05 * fractal(rng, size, 5, 3) - 0.15 * crease
    surface = Surface(
        height.astype(np.float32),
        np.clip(albedo, 0.004, 1),
        np.clip(gloss, 0, 1),
        0.16 * (1 - 0.6 * crease),
        np.zeros_like(height),
    )

    def place(rng: np.random.Generator, margin: float) -> tuple[float, float]:
        x, y = rng.uniform(0.03 + margin, 0.97 - margin, 2)
        return float(x), float(y)

    return Scene(surface, np.ones_like(height), place, floor=-0.03, below=(0.016, 0.012, 0.010))
