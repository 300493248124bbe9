"""From light to pixels: defocus, vignetting, exposure, white balance, tone, sensor noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bench.sample import portable
from bench.sample.surface import Array, Frame


@dataclass(frozen=True)
class Camera:
    """One exposure; drawn for every image, as no two shots of a line are quite alike.

    `defocus` in image widths, `vignette` the light lost in the corners, `grain` the noise of the sensor at
    full scale, `shot` its part that grows with the light.
    """

    exposure: float
    balance: tuple[float, float, float]
    defocus: float
    vignette: float
    grain: float
    shot: float


def draw_camera(rng: np.random.Generator) -> Camera:
    """A camera within the jitter of an inspection line."""
    red, blue = rng.normal(1, 0.012, 2)
    return Camera(
        exposure=math.exp(rng.normal(0, 0.06)),
        balance=(float(red), 1.0, float(blue)),
        defocus=float(0.0016 + 0.0012 * rng.beta(1.5, 3)),
        vignette=float(rng.uniform(0.08, 0.2)),
        grain=float(rng.uniform(0.006, 0.012)),
        shot=float(rng.uniform(0.010, 0.018)),
    )


def expose(light: Array, frame: Frame, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An 8-bit sRGB image (H, W, 3) of linear light; `rng` gives the noise of the sensor."""
    size = light.shape[0]
    sigma = camera.defocus * size
    blurred = ndimage.gaussian_filter(light, (sigma, sigma, 0), mode="nearest", truncate=2.5)
    corner = ((frame.x - 0.5) ** 2 + (frame.y - 0.5) ** 2) * 2
    level = np.float32(camera.exposure) * (1 - np.float32(camera.vignette) * corner)
    light = blurred * level[..., None] * np.asarray(camera.balance, np.float32)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    common = (noise[..., :1] + noise[..., 1:2] + noise[..., 2:]) * np.float32(0.4)
    noise = noise * np.float32(0.55) + common  # demosaicing spreads noise over the channels
    deviation = np.float32(camera.grain * 0.35) + np.float32(camera.shot) * np.sqrt(np.maximum(light, 0))
    light = light + noise * deviation
    return to_srgb(light)


def to_srgb(light: Array) -> NDArray[np.uint8]:
    """Linear light to 8-bit sRGB, with a soft shoulder over 0.8 instead of a hard clip."""
    light = np.maximum(light, 0)
    over = np.maximum(light - np.float32(0.8), 0)
    light = np.minimum(light, np.float32(0.8)) + over / (1 + over * 5)
    coded = np.float32(1.055) * portable.power(light, 1 / 2.4) - np.float32(0.055)
    coded = np.where(light < 0.0031308, light * np.float32(12.92), coded)
    return np.clip(coded * 255 + np.float32(0.5), 0, 255).astype(np.uint8)
