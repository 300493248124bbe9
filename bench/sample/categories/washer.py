"""A turned steel washer on a dark mat."""

from __future__ import annotations

import math

import numpy as np

from bench.sample import portable
from bench.sample.damage import Wear
from bench.sample.noise import along, fractal, over, spline
from bench.sample.shading import Rig
from bench.sample.surface import Array, Frame, Scene, Surface, blend, smooth, tinted

RIG = Rig(azimuth=-2.0, elevation=0.95, key=0.8, fill=0.12, ambient=0.22, sky=0.42)
POSE = (3.1416, 0.04, 0.02)

WEAR = Wear(depth=0.004, raw=(0.75, 0.74, 0.72), raw_gloss=0.5)

_THICK = 0.035
_OUTER, _INNER = 0.37, 0.165


def build(frame: Frame, rng: np.random.Generator, missing: np.random.Generator | None) -> Scene:
    """A washer; with `missing`, a piece has broken out of its rim or its bore."""
    size = frame.size
    outer, inner = _OUTER + rng.normal(0, 0.003), _INNER + rng.normal(0, 0.003)
    radius = np.sqrt(frame.u**2 + frame.v**2)
    theta = portable.arctan2(frame.v, frame.u)
    turn = theta / np.float32(2 * np.pi) % 1
    inside = np.minimum(outer - radius, radius - inner)  # distance from the edge, image widths
    broken = np.zeros_like(frame.x)
    if missing is not None:
        gap = _bite(frame, missing, outer, inner)
        broken = smooth(0.002, -0.002, gap)
        inside = np.minimum(inside, gap)
    body = np.clip(inside / frame.pixel + 0.5, 0, 1)
    chamfer = np.float32(rng.uniform(0.010, 0.016))
    edge = np.clip(inside / chamfer, 0, 1)
    groove = (
        0.6 * along(rng, radius, 90)
        + 0.6 * along(rng, radius + 0.0006 * along(rng, turn, 5), 200) * min(1.0, size / 400)
        + 0.4 * along(rng, radius, 23)
    )
    streak = over(rng, radius, turn, 260, 24) * min(1.0, size / 256)
    flat = smooth(0.8, 1.0, edge)
    bevel = 1 - edge
    top = _THICK - 0.010 * bevel * np.sqrt(bevel) + (0.00022 * groove + 0.00008 * streak) * flat

    mat = 0.0010 * fractal(rng, size, 40, 3, 0.8) + 0.0004 * spline(rng, size, 110)
    height = blend(mat, top, body)

    patina = fractal(rng, size, 3, 4)
    steel = (
        np.array([0.50, 0.49, 0.47]) * math.exp(rng.normal(0, 0.05)) * (1 + rng.normal(0, [0.01, 0.0, 0.02]))
    )
    worn = 1 + 0.045 * patina + (0.07 * groove + 0.06 * streak) * flat + 0.03 * fractal(rng, size, 30, 3)
    rubber = np.array([0.030, 0.032, 0.036]) * math.exp(rng.normal(0, 0.12))
    felt = 1 + 0.25 * fractal(rng, size, 60, 3, 0.8) + 0.10 * fractal(rng, size, 3, 3)
    albedo = blend(
        tinted(rubber.astype(np.float32), felt), tinted(steel.astype(np.float32), worn), body[..., None]
    )
    gloss = blend(np.full_like(height, 0.15), 0.66 + 0.03 * patina + 0.02 * streak, body)
    specular = blend(np.full_like(height, 0.05), 0.36 + 0.10 * groove * flat, body)
    surface = Surface(
        height.astype(np.float32),
        np.clip(albedo, 0.002, 1).astype(np.float32),
        np.clip(gloss, 0.05, 1).astype(np.float32),
        np.clip(specular, 0, 2).astype(np.float32),
        (0.85 * body).astype(np.float32),
        (theta + np.pi / 2 + frame.pose[0]).astype(np.float32),
    )

    def place(rng: np.random.Generator, margin: float) -> tuple[float, float]:
        keep = min(margin + 0.012, 0.45 * (outer - inner))
        r, a = rng.uniform(inner + keep, outer - keep), rng.uniform(0, 2 * np.pi)
        return frame.to_image(r * math.cos(a), r * math.sin(a))

    return Scene(surface, body * (1 - broken), place, floor=0.0, below=(0.03, 0.03, 0.034))


def _bite(frame: Frame, rng: np.random.Generator, outer: float, inner: float) -> Array:
    """Signed distance from a broken-out piece, negative in it."""
    angle, size = rng.uniform(0, 2 * np.pi), 0.02 + 0.09 * rng.beta(1.2, 2.2)
    rim = rng.random() < 0.7
    r = outer - rng.uniform(-0.3, 0.35) * size if rim else inner + rng.uniform(-0.3, 0.35) * size
    c, s = math.cos(angle), math.sin(angle)
    du, dv = frame.u - r * c, frame.v - r * s
    a, b = du * c + dv * s, dv * c - du * s
    stretch = rng.uniform(0.7, 1.8)
    jagged = 0.16 * fractal(rng, frame.size, 14, 4, 0.6)
    return np.sqrt(a * a * stretch + b * b / stretch) - size * (1 + jagged)
