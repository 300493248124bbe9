"""Damage to a surface. Each kind changes relief and material only within its own footprint.

A kind is a function `(scene, frame, rng, wear) -> Surface`. Sizes and strengths are drawn over wide ranges,
down to what an inspector might miss. The mask is not drawn here: it is where the surface differs
(`changed`), so that it cannot disagree with what the camera sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.sample import portable
from bench.sample.noise import fractal, spline
from bench.sample.shapes import Path, blob_field, stroke_field, walk
from bench.sample.surface import Array, Frame, Scene, Surface, blend, smooth

_HEIGHT_SEEN = 0.0005  # image widths; less is lost in the relief of every category
_COLOUR_SEEN = 0.07  # of the albedo
_GLOSS_SEEN = 0.05


@dataclass(frozen=True)
class Wear:
    """How a material wears: depth of a full groove in image widths, colour and gloss of what it bares.

    A `fibrous` one leaves loose ends across an opening.
    """

    depth: float
    raw: tuple[float, float, float]
    raw_gloss: float
    fibrous: bool = False


def changed(before: Surface, after: Surface) -> Array:
    """The mask (H, W) bool: where relief, colour or gloss of two surfaces differ enough to be seen."""
    relief = np.abs(after.height - before.height) > _HEIGHT_SEEN
    colour = _brightest(np.abs(after.albedo - before.albedo)) > _COLOUR_SEEN * (
        _brightest(before.albedo) + 0.01
    )
    gloss = np.abs(after.gloss - before.gloss) > _GLOSS_SEEN
    return relief | colour | gloss


def _brightest(colour: Array) -> Array:
    return np.maximum(np.maximum(colour[..., 0], colour[..., 1]), colour[..., 2])


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _recolour(surface: Surface, colour: Array | tuple[float, ...], amount: Array) -> Array:
    return blend(surface.albedo, np.asarray(colour, np.float32), amount[..., None])


def scratch(scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear) -> Surface:
    """One to four near-parallel grooves with a burr on each side; a light one only scuffs."""
    length = _log_uniform(rng, 0.1, 0.55)
    heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.05)
    x, y = scene.position(rng, 0.02)
    start = np.array([x, y]) - 0.5 * length * np.array([math.cos(heading), math.sin(heading)])
    paths = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 4]))):
        offset = rng.normal(0, 0.012, 2)
        part = length * rng.uniform(0.5, 1)
        halfwidth = _log_uniform(rng, 0.0032, 0.011)
        path = walk(rng, tuple(start + offset), heading, part, halfwidth, 0.02, 14)
        paths.append(_bend(path, bend))
    q, thin = stroke_field(frame, paths, 1.8)
    force = rng.uniform(0.3, 1)
    skip = smooth(-1.6, -0.4, spline(rng, frame.size, 24)) * thin * scene.body
    groove = np.maximum(1 - q * q, 0) * skip
    burr = np.maximum(1 - ((q - 1.3) / 0.5) ** 2, 0) * skip
    relief = np.float32(wear.depth * force) * (np.float32(0.45) * burr - groove)
    bared = np.float32(rng.uniform(0.3, 0.9)) * smooth(0, 0.5, groove)
    surface = scene.surface
    return surface.with_(
        height=surface.height + relief,
        albedo=_recolour(surface, wear.raw, bared),
        gloss=blend(surface.gloss, wear.raw_gloss, bared),
    )


def _bend(path: Path, bend: float) -> Path:
    k = np.linspace(-1, 1, len(path.points))[:, None] ** 2
    along = path.points[-1] - path.points[0]
    return Path(path.points + bend * k * np.array([-along[1], along[0]]) * 2, path.halfwidths)


def crack(scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear) -> Surface:
    """A branching fissure: narrow, dark, deep, with lips that stand up a little."""
    length = _log_uniform(rng, 0.12, 0.5)
    steps = int(np.clip(length / 0.012, 8, 36))
    halfwidth = _log_uniform(rng, 0.0022, 0.007)
    heading = rng.uniform(0, 2 * np.pi)
    x, y = scene.position(rng, 0.02)
    start = (x - 0.4 * length * math.cos(heading), y - 0.4 * length * math.sin(heading))
    trunk = walk(rng, start, heading, length, halfwidth, 0.33, steps)
    paths = [trunk]
    for k in range(3, steps - 2):
        if rng.random() < 0.11:
            side = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
            reach = length * rng.uniform(0.1, 0.35)
            node = (float(trunk.points[k, 0]), float(trunk.points[k, 1]))
            paths.append(walk(rng, node, side, reach, halfwidth * 0.7, 0.35, max(4, int(steps * 0.35))))
    q, thin = stroke_field(frame, paths, 2.2)
    open_ = np.maximum(1 - q * q, 0) * thin * scene.body
    lips = np.maximum(1 - ((q - 1.5) / 0.6) ** 2, 0) * scene.body
    surface = scene.surface
    dark = np.float32(rng.uniform(0.5, 0.92)) * smooth(0, 0.6, open_)
    return surface.with_(
        height=surface.height + np.float32(wear.depth) * (np.float32(0.22) * lips - np.float32(1.8) * open_),
        albedo=_recolour(surface, tuple(0.3 * c for c in scene.below), dark),
        specular=surface.specular * (1 - dark),
        metal=surface.metal * (1 - dark),
    )


def dent(scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear) -> Surface:
    """A pressed-in hollow with a raised rim; the colour stays, only a hard one leaves a scuff."""
    radius = _log_uniform(rng, 0.028, 0.095)
    centre = scene.position(rng, 0.6 * radius)
    q = blob_field(frame, rng, centre, radius, _log_uniform(rng, 0.6, 1.7), 0.07)
    depth = np.float32(radius * rng.uniform(0.12, 0.36))
    bowl = np.maximum(1 - q * q, 0)
    hollow = bowl * np.sqrt(bowl)
    rim = np.maximum(1 - ((q - 1.08) / 0.28) ** 2, 0) ** 2
    surface = scene.surface
    scuff = np.float32(rng.uniform(0, 0.22)) * hollow
    scuff = scuff * (0.6 + 0.4 * portable.tanh(fractal(rng, frame.size, 40, 2)))
    return surface.with_(
        height=surface.height + depth * scene.body * (np.float32(0.16) * rim - hollow),
        albedo=_recolour(surface, wear.raw, np.clip(scuff, 0, 1) * scene.body),
        gloss=blend(surface.gloss, surface.gloss * np.float32(0.75), np.minimum(1, 2 * hollow) * scene.body),
    )


def hole(scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear) -> Surface:
    """A puncture through to what lies below, with a torn, raised rim."""
    radius = _log_uniform(rng, 0.017, 0.075)
    centre = scene.position(rng, radius)
    q = blob_field(frame, rng, centre, radius, _log_uniform(rng, 0.5, 2), 0.2)
    return _open(scene, frame, rng, wear, (1 - q) * np.float32(radius), np.float32(0.35 * radius + 0.003))


def cut(scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear) -> Surface:
    """A slit with frayed lips, gaping in its middle."""
    length = _log_uniform(rng, 0.09, 0.45)
    heading = rng.uniform(0, 2 * np.pi)
    x, y = scene.position(rng, 0.04)
    start = (x - 0.5 * length * math.cos(heading), y - 0.5 * length * math.sin(heading))
    path = walk(rng, start, heading, length, _log_uniform(rng, 0.0035, 0.011), 0.06, 16)
    q, _ = stroke_field(frame, [path], 4)
    width = np.float32(max(float(path.halfwidths.mean()), 0.65 * frame.pixel))
    fray = np.float32(0.3) * fractal(rng, frame.size, 60, 2, 0.7)
    return _open(scene, frame, rng, wear, (1 - np.where(q < 4, q + fray, q)) * width, width * 2)


def _open(
    scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear, inside: Array, lip: np.floating
) -> Surface:
    """Open the surface where `inside` (image widths from the edge) is positive; `lip` is the rim's width."""
    surface = scene.surface
    through = np.clip(inside / np.float32(frame.pixel) + 0.5, 0, 1) * scene.body
    if wear.fibrous:
        through = through * (1 - _loose_ends(frame, rng, inside))
    torn = smooth(-float(lip), 0, inside) * (1 - through) * scene.body
    ragged = np.clip(0.55 + 0.45 * fractal(rng, frame.size, 70, 2, 0.8), 0, 1.3)
    height = surface.height + np.float32(0.55 * wear.depth * rng.uniform(0.3, 1)) * torn * ragged
    fuzz = np.float32(rng.uniform(0.15, 0.6)) * torn * ragged
    albedo = _recolour(surface, wear.raw, np.clip(fuzz, 0, 1))
    below = np.asarray(scene.below, np.float32) * (1 + np.float32(0.25) * ragged[..., None])
    gone = through[..., None]
    return surface.with_(
        height=blend(height, np.float32(scene.floor), through),
        albedo=blend(albedo, below, gone),
        specular=surface.specular * (1 - through),
        metal=surface.metal * (1 - through),
    )


def _loose_ends(frame: Frame, rng: np.random.Generator, inside: Array) -> Array:
    """Threads that reach from the rim of an opening into it, 0..1."""
    rim = np.argwhere(np.abs(inside) < 1 / frame.size)
    chosen = (rng.random(int(rng.integers(6, 22))) * len(rim)).astype(int)
    lengths, headings = rng.uniform(0.008, 0.035, len(chosen)), rng.uniform(0, 2 * np.pi, len(chosen))
    ends = [
        walk(rng, (float(x), float(y)), heading, length, 0.0026, 0.2, 5)
        for (y, x), length, heading in zip((rim[chosen] + 0.5) / frame.size, lengths, headings, strict=True)
    ]
    q, _ = stroke_field(frame, ends)
    return smooth(1, 0.3, q) * np.float32(0.9)


_STAINS = (  # colour of the residue, opacity, gloss that it leaves: oil, rust, ink, lime, dust of grinding
    ((0.020, 0.015, 0.008), 0.55, 0.75),
    ((0.180, 0.060, 0.020), 0.60, 0.20),
    ((0.015, 0.025, 0.090), 0.70, 0.35),
    ((0.620, 0.600, 0.560), 0.45, 0.10),
    ((0.160, 0.150, 0.140), 0.55, 0.12),
)


def _stain_seen_on(scene: Scene, rng: np.random.Generator) -> tuple[tuple[float, ...], float, float]:
    """One of the stains that are darker or lighter than the part; the others would not be seen."""
    weight = float(scene.body.sum())
    part = float((_brightest(scene.surface.albedo) * scene.body).sum()) / weight
    visible = [s for s in _STAINS if abs(math.log(max(s[0]) / part)) > 0.45]
    return visible[int(rng.integers(len(visible)))]


def stain(scene: Scene, frame: Frame, rng: np.random.Generator, wear: Wear) -> Surface:
    """A dried spill: soft or sharp, sometimes ringed, with splashes; nothing of the relief changes."""
    radius = _log_uniform(rng, 0.028, 0.14)
    centre = scene.position(rng, 0.4 * radius)
    q = blob_field(frame, rng, centre, radius, _log_uniform(rng, 0.5, 2), 0.22)
    for _ in range(int(rng.integers(0, 4))):
        away, angle = radius * rng.uniform(1.1, 2.0), rng.uniform(0, 2 * np.pi)
        splash = (centre[0] + away * math.cos(angle), centre[1] + away * math.sin(angle))
        q = np.minimum(q, blob_field(frame, rng, splash, radius * rng.uniform(0.1, 0.3), 1.0, 0.1))
    softness = rng.uniform(0.12, 0.6)
    film = smooth(1, 1 - softness, q)
    ring = rng.uniform(0, 0.8) * film * smooth(0.45, 1.0, q)
    colour, opacity, gloss = _stain_seen_on(scene, rng)
    uneven = np.clip(1 + 0.22 * fractal(rng, frame.size, 12, 3), 0.3, 1.6)
    amount = np.float32(opacity * rng.uniform(0.5, 1.4)) * (film * np.float32(0.75) + ring) * uneven
    amount = (np.clip(amount, 0, 0.95) * scene.body).astype(np.float32)
    tint = np.asarray(colour, np.float32) * portable.exp(rng.normal(0, 0.15, 3))
    surface = scene.surface
    return surface.with_(
        albedo=_recolour(surface, tint, amount),
        gloss=blend(surface.gloss, np.float32(gloss), amount),
        specular=blend(surface.specular, np.float32(0.05 + 0.3 * gloss), amount),
    )


KINDS = {"crack": crack, "cut": cut, "dent": dent, "hole": hole, "scratch": scratch, "stain": stain}
"""The damage that any surface may take; a missing part is the category's own, as it knows its parts."""
