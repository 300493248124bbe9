"""From a surface to light: normals, cast shadows, ambient occlusion, diffuse and mirrored light.

Highlights follow Blinn (1977), those of brushed metal Kajiya and Kay (1989). Occlusion and shadows are
approximations in the image plane, cheap and good enough for low relief.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bench.sample import portable
from bench.sample.surface import Array, Frame, Surface, blend, smooth

_SHADOW_STEPS = (0.005, 0.009, 0.014, 0.021, 0.030, 0.042, 0.058, 0.078)  # image widths along the ray
_OCCLUSION_REACH = ((0.012, 0.55), (0.045, 0.45))  # image widths, strength


@dataclass(frozen=True)
class Rig:
    """A lamp and its surroundings: angles in radians, strengths relative to white paper.

    `azimuth` is where the lamp stands in the image plane, `elevation` its height over it, `softness` of its
    shadows in image widths of height; `sky` the strength of what metal mirrors.
    """

    azimuth: float
    elevation: float
    key: float = 1.0
    fill: float = 0.18
    ambient: float = 0.28
    sky: float = 0.5
    softness: float = 0.006


def normals(height: Array) -> tuple[Array, Array, Array]:
    """Unit normals (x, y, z components) of a height field in image widths."""
    size = height.shape[0]
    padded = np.pad(height, 1, mode="edge") * np.float32(size / 2)
    nx = padded[1:-1, :-2] - padded[1:-1, 2:]
    ny = padded[:-2, 1:-1] - padded[2:, 1:-1]
    nz = 1 / np.sqrt(nx * nx + ny * ny + 1)
    return nx * nz, ny * nz, nz


def box_blur(field: Array, reach: float) -> Array:
    """Two passes of a box of `reach` image widths: its cost does not grow with the reach."""
    width = max(1, 2 * round(reach * field.shape[0]) + 1)
    if width == 1:
        return field
    once = ndimage.uniform_filter(field, width, mode="nearest")
    return ndimage.uniform_filter(once, width, mode="nearest")


def occlusion(height: Array) -> Array:
    """Ambient light that reaches each pixel, 0..1: less where the neighbourhood stands higher."""
    open_sky = np.ones_like(height)
    for reach, strength in _OCCLUSION_REACH:
        below = np.maximum(box_blur(height, reach) - height, 0) / np.float32(reach)
        open_sky *= 1 / (1 + np.float32(6 * strength) * below)
    return open_sky


def shadow(height: Array, rig: Rig) -> Array:
    """Light of the lamp that reaches each pixel, 0..1, by marching towards it."""
    size = height.shape[0]
    dx, dy, rise = math.cos(rig.azimuth), math.sin(rig.azimuth), math.tan(rig.elevation)
    pad = round(_SHADOW_STEPS[-1] * size) + 1
    padded = np.pad(height, pad, mode="edge")
    hidden = np.zeros_like(height)
    for step in _SHADOW_STEPS:
        ox, oy = round(step * size * dx), round(step * size * dy)
        distance = np.float32(math.hypot(ox, oy) / size * rise)
        shifted = padded[pad + oy : pad + oy + size, pad + ox : pad + ox + size]
        hidden = np.maximum(hidden, shifted - height - distance)
    lit = 1 - np.clip(hidden * np.float32(1 / rig.softness), 0, 1)
    return box_blur(lit, 0.004)


def shade(surface: Surface, frame: Frame, rig: Rig) -> Array:
    """Linear light (H, W, 3) that leaves the surface towards the camera."""
    nx, ny, nz = normals(surface.height)
    open_sky, lit = occlusion(surface.height), shadow(surface.height, rig)

    reach = 1.6  # lamp at a finite distance, so that highlights move over the part
    lx = np.float32(reach * math.cos(rig.elevation) * math.cos(rig.azimuth)) - (frame.x - 0.5)
    ly = np.float32(reach * math.cos(rig.elevation) * math.sin(rig.azimuth)) - (frame.y - 0.5)
    lz = np.full_like(lx, reach * math.sin(rig.elevation))
    norm = 1 / np.sqrt(lx * lx + ly * ly + lz * lz)
    lx, ly, lz = lx * norm, ly * norm, lz * norm
    falloff = (np.float32(reach) * norm) ** 2

    key = np.maximum(nx * lx + ny * ly + nz * lz, 0) * lit * falloff
    fill = np.maximum(nz * 0.8 - nx * lx * 0.6 - ny * ly * 0.6, 0) * open_sky
    ambient = open_sky * (0.45 + 0.55 * nz)
    scattered = (
        np.float32(rig.key) * key + np.float32(rig.fill) * fill + np.float32(rig.ambient) * ambient
    ) * (1 - np.float32(0.75) * surface.metal)

    half = 1 / np.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
    hx, hy, hz = lx * half, ly * half, (lz + 1) * half
    power = portable.exp2(1 + 7 * surface.gloss)
    cosine = np.maximum(nx * hx + ny * hy + nz * hz, 0)
    if surface.grain is not None:
        tx, ty = portable.cos(surface.grain), portable.sin(surface.grain)
        across = tx * nx + ty * ny  # the tangent leans with the surface
        lean = tx * hx + ty * hy - across * hz
        brushed = np.sqrt(np.maximum(1 - lean * lean, 0)) * np.minimum(1, cosine + np.float32(0.1))
        cosine = blend(cosine, brushed, (surface.metal > 0.1).astype(np.float32))
    highlight = surface.specular * (power + 8) / 32 * portable.power(cosine, power) * lit * falloff
    tilt = nx * np.float32(math.cos(rig.azimuth)) + ny * np.float32(math.sin(rig.azimuth))
    mirrored = surface.metal * np.float32(rig.sky) * (0.35 + 0.9 * smooth(-0.5, 0.6, tilt)) * open_sky

    shine = np.float32(rig.key) * highlight
    body = surface.albedo * (scattered + mirrored + shine * surface.metal)[..., None]
    return body + (shine * (1 - surface.metal))[..., None]
