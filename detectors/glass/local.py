"""Local anomalies: textures laid into images under masks of Perlin noise (section 3.4 of the paper).

Masks and texture changes differ from DRAEM's: two noises may be joined or crossed, no mask is empty, and the
changes are milder.
"""

import numpy as np
from PIL import Image, ImageOps

from bench.methods.textures.perlin import perlin_mask
from bench.methods.textures.photographs import Operation, augmented, autocontrast, equalize, rotate
from detectors.glass import GlassParams
from detectors.pseudo import Textures, material, painted


def contrast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    grey = np.asarray(image.convert("L")).mean()
    factor = rng.uniform(0.8, 1.2)
    return image.point(lambda value: grey + factor * (value - grey))


def brightness(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(0.8, 1.2)
    return image.point(lambda value: factor * value)


def colour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Saturation by up to a fifth, hue by up to a fifth of the circle."""
    more, turn = rng.uniform(0.8, 1.2), round(rng.uniform(-0.2, 0.2) * 255)
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation.point(lambda level: more * level), value)).convert("RGB")


def mirrored(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image)


def flipped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.flip(image)


def grey(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


OPERATIONS: tuple[Operation, ...] = (
    contrast,
    brightness,
    colour,
    mirrored,
    flipped,
    grey,
    autocontrast,
    equalize,
    rotate,
)


def local_anomaly(
    image: np.ndarray, params: GlassParams, textures: Textures, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image uint8 [H, W, 3] with a texture laid in, and where, bool [H, W], never empty."""
    size = image.shape[:2]
    mask = local_mask(size, params, rng)
    texture = material(
        image, params, lambda: augmented(textures(size, rng), rng, params.operations, OPERATIONS), rng
    )
    return painted(image, texture, mask, opacity(params, rng)), mask


def local_mask(size: tuple[int, int], params: GlassParams, rng: np.random.Generator) -> np.ndarray:
    """One noise above the threshold, or the union or the intersection of two, a third of the time each."""
    while True:
        one, two = (
            perlin_mask(size, rng, octaves=params.octaves, threshold=params.threshold) for _ in range(2)
        )
        mask = (one, one & two, one | two)[int(rng.integers(3))]
        if mask.any():
            return mask


def opacity(params: GlassParams, rng: np.random.Generator) -> float:
    """The share of the image in the mix: normal, cut to the range."""
    return float(np.clip(rng.normal(params.opacity_mean, params.opacity_std), *params.opacity_range))
