"""Textures that need no data set: fields drawn by rules, in random colours.

They stand in for the Describable Textures Dataset, which is not shipped, where pseudo-anomalies are painted
with it. A field is float [H, W] within [0, 1], of a random scale and direction.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter

from bench.methods.textures.perlin import perlin_noise

Size = tuple[int, int]
Field = Callable[[Size, np.random.Generator], np.ndarray]


def _turned(size: Size, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along a random direction and across it, in shorter sides of the image."""
    y, x = np.mgrid[: size[0], : size[1]] / min(size)
    angle = rng.uniform(0, np.pi)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _fractal(size: Size, rng: np.random.Generator, first: int = 1) -> np.ndarray:
    """Perlin noise of four octaves from 2^first cells on, within [0, 1]."""
    noise = sum(perlin_noise(size, (2**k, 2**k), rng) / 2 ** (k - first) for k in range(first, first + 4))
    return np.clip(0.5 + 0.5 * np.asarray(noise), 0, 1)


def stripes(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, _ = _turned(size, rng)
    return 0.5 + 0.5 * np.sin(2 * np.pi * (along * rng.uniform(4, 30) + rng.uniform()))


def bands(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, _ = _turned(size, rng)
    return ((along * rng.uniform(3, 15) + rng.uniform()) % 1 < rng.uniform(0.2, 0.8)).astype(float)


def checks(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, across = _turned(size, rng)
    cells = rng.uniform(4, 24)
    return (np.floor(along * cells) + np.floor(across * cells)) % 2


def dots(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, across = _turned(size, rng)
    cells, radius = rng.uniform(5, 24), rng.uniform(0.15, 0.45)
    distance = np.hypot((along * cells) % 1 - 0.5, (across * cells) % 1 - 0.5)
    return np.clip((radius - distance) * 6 + 0.5, 0, 1)


def cells(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Distance to the nearest of random points (Worley noise), walls bright."""
    points = rng.uniform(size=(int(rng.integers(12, 60)), 2)) * size
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    nearest, second = np.full(size, np.inf, np.float32), np.full(size, np.inf, np.float32)
    for row, column in points.astype(np.float32):
        distance = (y - row) ** 2 + (x - column) ** 2
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return np.clip(np.sqrt(nearest / second), 0, 1)


def clouds(size: Size, rng: np.random.Generator) -> np.ndarray:
    return _fractal(size, rng, int(rng.integers(1, 4)))


def marble(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, _ = _turned(size, rng)
    return 0.5 + 0.5 * np.sin(2 * np.pi * (along * rng.uniform(2, 8) + 2 * _fractal(size, rng)))


def rings(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, across = _turned(size, rng)
    distance = np.hypot(along - rng.uniform(-1, 1), across - rng.uniform(-1, 1))
    return (distance * rng.uniform(5, 20) + 0.5 * _fractal(size, rng)) % 1


def weave(size: Size, rng: np.random.Generator) -> np.ndarray:
    along, across = _turned(size, rng)
    threads = rng.uniform(5, 20)
    over = (np.floor(along * threads) + np.floor(across * threads)) % 2 == 0
    along_thread, across_thread = ((part * threads) % 1 for part in (along, across))
    return np.where(over, np.sin(np.pi * along_thread), 0.7 * np.sin(np.pi * across_thread))


def grain(size: Size, rng: np.random.Generator) -> np.ndarray:
    noise = Image.fromarray(rng.integers(0, 256, size=size, dtype=np.uint8))
    blurred = np.asarray(noise.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2.5))), dtype=float)
    low, high = np.percentile(blurred, (1, 99))
    return np.clip((blurred - low) / max(high - low, 1e-6), 0, 1)


_ALL = (stripes, bands, checks, dots, cells, clouds, marble, rings, weave, grain)
FIELDS: Mapping[str, Field] = MappingProxyType({field.__name__: field for field in _ALL})
"""The textures by name."""


def procedural_texture(
    size: Size, rng: np.random.Generator, names: Sequence[str] = tuple(FIELDS)
) -> np.ndarray:
    """A texture of one of the `names`, uint8 [H, W, 3]: a field between two random colours, with grain."""
    field = FIELDS[names[int(rng.integers(len(names)))]](size, rng)[..., None]  # (H, W, 1)
    colours = rng.uniform(0, 255, size=(2, 3))
    # Photographed textures are seldom as colourful as uniform draws of RGB.
    grey = colours.mean(axis=1, keepdims=True)
    low, high = grey + rng.uniform() * (colours - grey)
    noise = rng.normal(0, rng.uniform(0, 12), size=(*size, 1))
    return np.clip(np.rint(low + (high - low) * field + noise), 0, 255).astype(np.uint8)
