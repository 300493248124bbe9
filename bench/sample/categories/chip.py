"""A soldered small-outline package on a circuit board."""

from __future__ import annotations

import math

import numpy as np

from bench.sample import portable
from bench.sample.damage import Wear
from bench.sample.noise import fractal, spline
from bench.sample.shading import Rig
from bench.sample.shapes import Path, stroke_field
from bench.sample.surface import Array, Frame, Scene, Surface, blend, smooth, tinted

RIG = Rig(azimuth=-2.3, elevation=0.85, key=0.95, fill=0.16, ambient=0.3, sky=0.5)
POSE = (0.06, 0.04, 0.02)
WEAR = Wear(depth=0.004, raw=(0.17, 0.17, 0.165), raw_gloss=0.2)

_HALF = (0.215, 0.315)  # of the package, across and along
_THICK = 0.055
_LEADS, _PITCH = 8, 0.076
_LEAD_HALF, _LEAD_REACH = 0.0165, 0.095

# strokes of the laser marking on a grid of 2 x 4 (right, down)
_GLYPHS: dict[str, list[list[tuple[float, float]]]] = {
    "0": [[(0, 0), (2, 0), (2, 4), (0, 4), (0, 0)]],
    "1": [[(0.4, 0.6), (1, 0), (1, 4)]],
    "2": [[(0, 0), (2, 0), (2, 2), (0, 2), (0, 4), (2, 4)]],
    "3": [[(0, 0), (2, 0), (2, 4), (0, 4)], [(0.4, 2), (2, 2)]],
    "4": [[(0, 0), (0, 2), (2, 2)], [(2, 0), (2, 4)]],
    "5": [[(2, 0), (0, 0), (0, 2), (2, 2), (2, 4), (0, 4)]],
    "6": [[(2, 0), (0, 0), (0, 4), (2, 4), (2, 2), (0, 2)]],
    "7": [[(0, 0), (2, 0), (0.8, 4)]],
    "8": [[(0, 0), (2, 0), (2, 4), (0, 4), (0, 0)], [(0, 2), (2, 2)]],
    "9": [[(2, 2), (0, 2), (0, 0), (2, 0), (2, 4), (0, 4)]],
    "D": [[(0, 0), (1.4, 0), (2, 0.8), (2, 3.2), (1.4, 4), (0, 4), (0, 0)]],
    "B": [
        [(0, 0), (1.6, 0), (2, 0.6), (1.6, 2), (0, 2), (0, 0)],
        [(1.6, 2), (2, 3.2), (1.6, 4), (0, 4), (0, 2)],
    ],
}


def build(frame: Frame, rng: np.random.Generator, missing: np.random.Generator | None) -> Scene:
    """A package; with `missing`, one to three neighbouring leads have broken off, whole or in part."""
    size, u, v = frame.size, frame.u, frame.v
    shift = rng.normal(0, 0.004, 2).astype(np.float32)  # placed a little off its pads
    pu, pv = u - shift[0], v - shift[1]

    board_height, board, board_gloss, solder = _board(frame, rng)
    lead = _leads(frame, pu, pv, missing)
    inside = _rounded_box(pu, pv, _HALF[0], _HALF[1], 0.008)
    body = np.clip(inside / frame.pixel + 0.5, 0, 1)

    reach = np.abs(pu) - np.float32(_HALF[0])
    bend = smooth(0.022, 0.055, reach)  # the gull wing comes down to the pad
    across = np.abs(((pv / _PITCH + _LEADS / 2) % 1) - 0.5) * np.float32(_PITCH / _LEAD_HALF)
    lead_height = 0.030 * (1 - bend) + 0.0075 - 0.0022 * across**2
    moulding = 0.00035 * fractal(rng, size, 80, 2, 0.9) + 0.00022 * spline(rng, size, 128)
    dimple = np.sqrt((pu + 0.155) ** 2 + (pv + 0.25) ** 2)
    package = _THICK - 0.014 * (1 - np.clip(inside / 0.016, 0, 1)) - 0.005 * smooth(0.021, 0.018, dimple)
    height = blend(board_height, np.maximum(board_height, lead_height), lead)
    height = blend(height, package + moulding, body)

    mark = _marking(frame, rng, shift) * body
    epoxy = np.array([0.034, 0.034, 0.036]) * math.exp(rng.normal(0, 0.10)) * (1 + rng.normal(0, 0.015, 3))
    speckle = 1 + 0.10 * fractal(rng, size, 50, 3, 0.9) + 0.07 * fractal(rng, size, 3, 3)
    tin = np.array([0.60, 0.595, 0.57]) * math.exp(rng.normal(0, 0.06))
    dull = 1 + 0.10 * fractal(rng, size, 30, 3, 0.8)
    metal_colour = tinted(tin.astype(np.float32), dull)
    shiny = np.maximum(lead, solder)
    albedo = blend(board, metal_colour, shiny[..., None])
    albedo = blend(albedo, tinted(epoxy.astype(np.float32), speckle), body[..., None])
    albedo = blend(albedo, np.float32(rng.uniform(0.15, 0.26)), (0.8 * mark)[..., None])
    gloss = blend(blend(board_gloss, np.float32(0.5), shiny), np.float32(0.30), body)
    specular = blend(blend(np.full_like(u, 0.10), np.float32(0.5), shiny), np.float32(0.11), body)
    surface = Surface(
        height.astype(np.float32),
        np.clip(albedo, 0.002, 1).astype(np.float32),
        gloss.astype(np.float32),
        specular.astype(np.float32),
        (0.8 * shiny * (1 - body)).astype(np.float32),
    )

    def place(rng: np.random.Generator, margin: float) -> tuple[float, float]:
        a = rng.uniform(-1, 1) * (_HALF[0] - margin) + shift[0]
        b = rng.uniform(-1, 1) * (_HALF[1] - margin) + shift[1]
        return frame.to_image(a, b)

    return Scene(surface, body, place, floor=0.0, below=(0.02, 0.02, 0.02))


def _rounded_box(u: Array, v: Array, half_u: float, half_v: float, radius: float) -> Array:
    """Distance from the edge of a rounded box, positive inside."""
    a, b = np.abs(u) - np.float32(half_u - radius), np.abs(v) - np.float32(half_v - radius)
    outside = np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2)
    return np.float32(radius) - outside - np.minimum(np.maximum(a, b), 0)


def _row(v: Array) -> tuple[Array, Array]:
    """Number of the lead at a height on the package, and the distance from that lead's axis."""
    t = v / np.float32(_PITCH) + np.float32(_LEADS / 2)
    number = np.floor(t)
    return number, np.abs(t - number - 0.5) * np.float32(_PITCH)


def _leads(frame: Frame, u: Array, v: Array, missing: np.random.Generator | None) -> Array:
    """Where the leads are, 0..1."""
    number, off_axis = _row(v)
    reach = np.abs(u) - np.float32(_HALF[0])
    length = np.full_like(u, _LEAD_REACH)
    if missing is not None:
        side = missing.choice([-1, 1])
        first, count = int(missing.integers(0, _LEADS)), int(missing.choice([1, 1, 2, 2, 3]))
        stump = missing.choice([0.0, 0.0, 1.0]) * missing.uniform(0.15, 0.7) * _LEAD_REACH
        gone = (np.sign(u) == side) & (number >= first) & (number < first + count)
        length = np.where(gone, np.float32(stump), length)
    inside = np.minimum(np.float32(_LEAD_HALF) - off_axis, length - reach)
    inside = np.where((number >= 0) & (number < _LEADS), inside, -1)
    return np.clip(inside / frame.pixel + 0.5, 0, 1)


def _board(frame: Frame, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Relief, colour, gloss of the board, and where its pads are bare solder."""
    size, u, v = frame.size, frame.u, frame.v
    number, off_axis = _row(v)
    pad_u = np.abs(np.abs(u) - np.float32(_HALF[0] + 0.075))
    pad = np.minimum(np.float32(0.024) - off_axis, np.float32(0.045) - pad_u)
    pad = np.where((number >= 0) & (number < _LEADS), pad, -1)
    solder = np.clip(pad / frame.pixel + 0.5, 0, 1)
    paths = []
    for side in (-1, 1):
        for k in range(_LEADS):
            if rng.random() < 0.75:
                y = (k + 0.5 - _LEADS / 2) * _PITCH
                x, jog = side * 0.33, rng.choice([-1, 0, 1]) * _PITCH / 2
                route = [
                    (x, y),
                    (x + side * 0.03, y),
                    (x + side * (0.03 + abs(jog)), y + jog),
                    (side * 0.8, y + jog),
                ]
                paths.append(Path(np.array([frame.to_image(*p) for p in route]), np.full(4, 0.008)))
    for x in (-0.13, 0.02, 0.14):
        ends = [(x, -0.8), (x, -0.36), (x, 0.36), (x, 0.8)]
        points = np.array([frame.to_image(*p) for p in ends])
        paths += [Path(points[:2], np.full(2, 0.010)), Path(points[2:], np.full(2, 0.010))]
    trace, _ = stroke_field(frame, paths, 1.6)
    copper = smooth(1.15, 0.75, trace)
    silk = [
        Path(np.array([frame.to_image(-0.19, y), frame.to_image(0.19, y)]), np.full(2, 0.0042))
        for y in (-0.345, 0.345)
    ]
    printed = smooth(1.2, 0.8, stroke_field(frame, silk, 1.5)[0]) * np.clip(
        0.85 + 0.2 * fractal(rng, size, 60, 2), 0, 1
    )
    weave = fractal(rng, size, 36, 3, 0.7)
    green = np.array([0.018, 0.085, 0.038]) * portable.exp(rng.normal(0, [0.12, 0.08, 0.12]))
    lacquer = tinted(green.astype(np.float32), 1 + 0.06 * weave + 0.05 * fractal(rng, size, 3, 3))
    colour = lacquer * (1 + 0.55 * copper[..., None])
    colour = blend(colour, np.float32(0.62), printed[..., None])
    wet = 0.0055 * np.sqrt(np.clip(pad / 0.024, 0, 1)) * (1 + 0.12 * fractal(rng, size, 24, 2))
    height = 0.0022 * copper + 0.0004 * weave + wet + 0.0006 * printed
    gloss = (0.55 + 0.04 * weave - 0.2 * printed).astype(np.float32)
    return height, colour, gloss, solder


def _marking(frame: Frame, rng: np.random.Generator, shift: Array) -> Array:
    """The laser marking: a name and a lot code, 0..1."""
    lot = "".join(str(d) for d in rng.integers(0, 10, 4))
    paths = []
    for line, text in enumerate(("DB16", lot)):
        for k, letter in enumerate(text):
            for stroke in _GLYPHS[letter]:
                # the text runs along the package, so its right is the part's -v
                points = [
                    frame.to_image(
                        -0.055 + 0.115 * line + 0.0175 * b + shift[0],
                        0.155 - 0.072 * k - 0.0195 * a + shift[1],
                    )
                    for a, b in stroke
                ]
                paths.append(Path(np.array(points), np.full(len(points), 0.0046)))
    q, _ = stroke_field(frame, paths, 1.4)
    burnt = np.clip(0.8 + 0.25 * fractal(rng, frame.size, 70, 2, 0.9), 0, 1)
    return smooth(1.25, 0.7, q) * burnt
