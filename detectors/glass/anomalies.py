"""The anomalies that GLASS is taught with, made in images and in feature space (sections 3.3 and 3.4).

Local anomalies are textures laid into images under masks of Perlin noise. Masks and texture changes differ
from DRAEM's: two noises may be joined or crossed, no mask is empty, and the changes are milder. Global ones
are normal features moved up a gradient, and kept where anomalies may be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from bench.methods.textures.perlin import perlin_mask
from bench.methods.textures.photographs import Operation, augmented, autocontrast, equalize, rotate
from detectors.glass.params import GlassParams
from detectors.pseudo import Textures, material, painted

TINY = 1e-10


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


def ascended(points: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """Points (N, D), each moved by `rate` along its gradient (N, D): eq. 5, as the released code has it."""
    return points + rate * gradient / (gradient.norm(dim=1, keepdim=True) + TINY)


def truncated(points: Tensor, origins: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Points (N, D) at their direction from `origins` (N, D), at a distance cut to [low, high]: eq. 6."""
    offset = points - origins
    distance = offset.norm(dim=1, keepdim=True)
    return origins + offset * (distance.clamp(low, high) / (distance + TINY))


def radius_of(points: Tensor, centres: Tensor, quantile: float) -> Tensor:
    """The quantile of the distances of points to centres, both (N, D); without gradient."""
    return torch.quantile((points - centres).norm(dim=1).detach(), quantile)


def global_anomalies(
    normal: Tensor,
    noise: Tensor,
    centres: Tensor,
    radius: Tensor,
    params: GlassParams,
    discriminate: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Anomalous features (N, D) of normal ones (N, D), and the logits (N,) of both, normal first.

    They start as the normal ones with noise and are moved, a step at a time, to where the discriminator takes
    them least for anomalies; now and then they are projected back to where the hypothesis has anomalies.
    """
    points = normal + noise
    for step in range(params.ascent_steps):
        _, logits = _both(normal, points, discriminate)
        loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        (gradient,) = torch.autograd.grad(loss, points)
        points = ascended(points, gradient, params.ascent_rate)
        if (step + 1) % params.projection_interval == 0:
            if params.hypothesis == "hypersphere":
                points = truncated(points, centres, radius, 2 * radius)
            else:
                points = truncated(points, normal, *params.distance)
    return points, *_both(normal, points, discriminate)


def _both(normal: Tensor, points: Tensor, discriminate: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Logits of both; together, since batch norm takes its statistics of both."""
    logits = discriminate(torch.cat((normal, points)))
    return logits[: len(normal)], logits[len(normal) :]


def hardest(logits: Tensor, anomalous: Tensor, easy: float) -> Tensor:
    """bool (N,): false for the share `easy` of features whose probability is nearest to the truth.

    `anomalous` is bool (N,). Online hard example mining of eq. 9, by squared errors.
    """
    error = (torch.sigmoid(logits.detach()) - anomalous.to(logits.dtype)) ** 2
    return error >= torch.quantile(error, easy) if easy else torch.ones_like(anomalous)
