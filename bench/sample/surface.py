"""The values that pass through the renderer: the frame, a surface, a scene.

Lengths, heights included, are in image widths: 0.04 is a twenty-fifth of the image. Colours are linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Place = Callable[[np.random.Generator, float], tuple[float, float]]


@dataclass(frozen=True)
class Frame:
    """Pixel coordinates, in the image and on the part.

    `size` is the side of the grid, `pixel` the width of a pixel of the final image. `x`, `y` (size, size)
    run over 0..1 in the image; `u`, `v` are centred on the part, turned and scaled with it.
    """

    size: int
    pixel: float
    x: Array
    y: Array
    u: Array
    v: Array
    pose: tuple[float, float, float, float]  # angle in radians, scale, shift in x and y

    def to_image(self, u: float, v: float) -> tuple[float, float]:
        """A point of the part, in image coordinates."""
        angle, scale, dx, dy = self.pose
        c, s = math.cos(angle) * scale, math.sin(angle) * scale
        return float(0.5 + dx + c * u - s * v), float(0.5 + dy + s * u + c * v)


def make_frame(size: int, pixel: float, pose: tuple[float, float, float, float]) -> Frame:
    """The frame of a `size` x `size` grid with the part in this pose."""
    angle, scale, dx, dy = pose
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    x, y = np.meshgrid(centres, centres)
    c, s = np.float32(math.cos(angle) / scale), np.float32(math.sin(angle) / scale)
    px, py = x - np.float32(0.5 + dx), y - np.float32(0.5 + dy)
    return Frame(size, pixel, x, y, c * px + s * py, c * py - s * px, pose)


@dataclass(frozen=True)
class Surface:
    """What the lamp meets: every field (H, W) float32, `albedo` (H, W, 3) in 0..1.

    `gloss` in 0..1 is how tight a highlight is, `specular` how strong, `metal` in 0..1 how much the surface
    mirrors instead of scattering. `grain` is the direction of brushing in radians, where there is any.
    """

    height: Array
    albedo: Array
    gloss: Array
    specular: Array
    metal: Array
    grain: Array | None = None

    def with_(self, **fields: Array) -> Surface:
        """The same surface with some fields replaced."""
        return replace(self, **fields)


@dataclass(frozen=True)
class Scene:
    """A surface and what a defect must know about it.

    `body` (H, W) in 0..1 is where the part is, `place` draws a point on it at a distance from its edges, and
    a hole opens on what lies below: `floor` is its height, `below` its colour.
    """

    surface: Surface
    body: Array
    position: Place
    floor: float
    below: tuple[float, float, float]


def smooth(low: float, high: float, t: Array) -> Array:
    """Cubic step from 0 at `low` to 1 at `high` (either may be the larger)."""
    s = np.clip((t - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return s * s * (3 - 2 * s)


def blend(base: Array, other: Array | np.floating[Any] | float, amount: Array) -> Array:
    """`base` where `amount` is 0, `other` where it is 1."""
    return base + (other - base) * amount


def tinted(colour: tuple[float, float, float] | Array, brightness: Array) -> Array:
    """A colour times a field: (H, W, 3)."""
    return np.asarray(colour, np.float32) * brightness[..., None]
