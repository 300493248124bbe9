"""Woven cloth: a twill of warp and weft threads, twisted fibres, uneven yarn."""

from __future__ import annotations

import numpy as np

from bench.sample import portable
from bench.sample.damage import Wear
from bench.sample.noise import along, fractal, over, spline
from bench.sample.shading import Rig
from bench.sample.surface import Array, Frame, Scene, Surface, smooth

RIG = Rig(azimuth=-0.9, elevation=0.8, key=0.95, fill=0.2, ambient=0.32)
POSE = (0.07, 0.04, 0.0)

WEAR = Wear(depth=0.008, raw=(0.55, 0.50, 0.42), raw_gloss=0.05, fibrous=True)

_THREADS = 26  # over the image's width


def build(frame: Frame, rng: np.random.Generator, missing: np.random.Generator | None) -> Scene:
    """A patch of cloth; with `missing`, a run of one or two threads is not there."""
    size = frame.size
    drift_x, drift_y = fractal(rng, size, 4, 3), fractal(rng, size, 4, 3)
    u, v = frame.u + 0.0022 * drift_x + 2, frame.v + 0.0022 * drift_y + 2  # threads wander
    a, b = u * _THREADS, v * _THREADS
    i, j = np.floor(a), np.floor(b)
    a, b = a - i - 0.5, b - j - 0.5
    ia, jb = i.astype(np.intp), j.astype(np.intp)
    total = 5 * _THREADS

    # a 2/2 twill: each warp thread goes over two weft threads and under two, one further each time
    phase_warp = portable.cos(np.pi / 2 * ((j + b + 0.5) - i - 1.0))
    phase_weft = -portable.cos(np.pi / 2 * ((i + a + 0.5) - j))
    width = rng.normal(1, 0.05, (2, total)).astype(np.float32)
    round_warp = np.sqrt(np.maximum(1.02 - (2 * a * 0.97 / width[0][ia]) ** 2, 0.0))
    round_weft = np.sqrt(np.maximum(1.02 - (2 * b * 0.97 / width[1][jb]) ** 2, 0.0))
    warp = 0.0052 * round_warp + 0.0042 * phase_warp
    weft = 0.0052 * round_weft + 0.0042 * phase_weft
    bottom = np.float32(-0.011)
    if missing is not None:
        warp, weft = _pull_out(frame, missing, warp, weft, ia, jb, float(bottom))
    on_top = smooth(-0.0012, 0.0012, warp - weft)
    height = np.maximum(np.maximum(warp, weft), bottom)
    open_gap = smooth(-0.006, -0.010, height)

    # fibres run along the thread, slightly twisted
    fibre_warp = over(rng, (u + 0.18 * v / 4) / 4, v / 4, 4 * _THREADS * 7, 4 * _THREADS)
    fibre_weft = over(rng, u / 4, (v + 0.18 * u / 4) / 4, 4 * _THREADS, 4 * _THREADS * 7)
    fibre = fibre_weft + (fibre_warp - fibre_weft) * on_top
    slub_warp = along(rng, v / 4 + ia * 0.37, 57) * 0.05
    slub_weft = along(rng, u / 4 + jb * 0.41, 57) * 0.05
    yarn = rng.normal(0, 0.055, (2, total)).astype(np.float32)
    tone = yarn[1][jb] + slub_weft + (yarn[0][ia] + slub_warp - yarn[1][jb] - slub_weft) * on_top
    height = height + 0.00035 * fibre * (1 - open_gap)

    hue = portable.exp(rng.normal(0, [0.07, 0.06, 0.06]))
    warp_dye, weft_dye = np.array([0.30, 0.27, 0.215]) * hue, np.array([0.105, 0.125, 0.150]) * hue
    colour = weft_dye + (warp_dye - weft_dye) * on_top[..., None]
    shade = (1 + tone + 0.10 * fibre + 0.04 * fractal(rng, size, 3, 4)) * (1 - 0.75 * open_gap)
    albedo = np.clip(colour * shade[..., None], 0.004, 1).astype(np.float32)
    surface = Surface(
        (height + 0.0012 * spline(rng, size, 4)).astype(np.float32),
        albedo,
        np.full_like(frame.x, 0.3),
        np.float32(0.05) * (1 - open_gap),
        np.zeros_like(frame.x),
    )

    def place(rng: np.random.Generator, margin: float) -> tuple[float, float]:
        x, y = rng.uniform(0.03 + margin, 0.97 - margin, 2)
        return float(x), float(y)

    return Scene(surface, np.ones_like(frame.x), place, floor=-0.03, below=(0.02, 0.019, 0.018))


def _pull_out(
    frame: Frame, rng: np.random.Generator, warp: Array, weft: Array, ia: Array, jb: Array, bottom: float
) -> tuple[Array, Array]:
    """Heights of warp and weft with a run of one or two threads taken out; `ia`, `jb` number the threads."""
    count = int(rng.choice([1, 1, 2]))
    centre, half = rng.uniform(-0.3, 0.3), rng.uniform(0.07, 0.5)
    first = int(np.floor((rng.uniform(-0.4, 0.4) + 2) * _THREADS))
    is_warp = bool(rng.random() < 0.5)
    index, position = (ia, frame.v) if is_warp else (jb, frame.u)
    gone = ((index >= first) & (index < first + count)) * smooth(
        half, half - 0.006, np.abs(position - centre)
    )
    lowered = gone.astype(np.float32)
    if is_warp:
        return warp + (bottom * 1.2 - warp) * lowered, weft
    return warp, weft + (bottom * 1.2 - weft) * lowered
