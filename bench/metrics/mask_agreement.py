"""Do generated masks lie on generated defects? Judged without a trained network.

The change of an image is its absolute difference (mean over channels, 0..1) to what it would be without the
defect: the generator's own base image where it gives one, else its nearest normal image (smallest mean
squared difference; smoothed by a 3 x 3 mean then, as two shots differ in noise). With d the change:

    contrast   (mean d inside - mean d outside) / (mean d inside + mean d outside), -1..1
    spill      mean d outside / mean d inside, of the means over images; 0 (the ratio turned over would be
               infinite) for a generator that pastes, which changes nothing outside its masks
    overlap    IoU of the mask with the changed pixels, 0..1: those with d above the image's own threshold
               (Otsu 1979). The threshold does not look at the mask, or a mask that takes in the faint rim
               of a defect would be met by a lower one
    boundary   g / (g + h): g the mean slope of d within 1 pixel of the mask's outline, h its mean from 1 to 6
               pixels away; 0..1, 0.5 where the outline is like its surroundings; of the images that have
               such pixels
    score      max(contrast, 0) * overlap with bases; max(contrast, 0) with nearest normals, between which
               so much else changes that no threshold finds the defect; 0..1

A shift lowers all; dilation and erosion lower overlap, boundary and (dilation) contrast; the mask of another
image lowers all. With nearest normals, pose and light that differ between images count as change outside,
so values compare within one dataset and one way of finding the base only.

Precision: float64 means; a pixel is inside or outside, nothing is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics.inputs import MetricInputError, UndefinedMetricError, image_array, truth_array
from bench.metrics.one_thread import on_one_blas_thread
from bench.metrics.uncertainty import spread_of_mean

REACH = 6
IMAGES_A_BLOCK = 64


@dataclass(frozen=True)
class MaskAgreement:
    """Means over the images whose mask is neither empty nor full."""

    score: float
    contrast: float
    spill: float | None
    """None where nothing changed inside any mask."""
    overlap: float
    boundary: float | None
    """None where no mask has pixels beside its outline, on both of which the change could be compared."""
    images: int
    """How many images the means are over."""
    left_out: int
    """How many have an empty or a full mask."""
    scores: np.ndarray
    """float64, the score of each image that the means are over."""
    errors: dict[str, float | None]
    """The standard errors over images of score, spill and boundary; None of one image."""


def mask_agreement(images: Any, masks: Any, *, bases: Any = None, normals: Any = None) -> MaskAgreement:
    """Agreement of masks with the change that the images show.

    images: uint8 RGB [N, H, W, 3]; masks: bool [N, H, W]; either bases: uint8 RGB [N, H, W, 3], the image
    each was made from, or normals: uint8 RGB [M, H, W, 3], among which the nearest is taken.
    Raises MetricInputError; UndefinedMetricError where every mask is empty or full.

    Precision: see the module.
    """
    generated, inside = image_array(images, "generated"), truth_array(masks, "masks", ndim=3)
    if inside.shape != generated.shape[:3]:
        raise MetricInputError(f"masks {inside.shape} do not fit images {generated.shape}")
    if (bases is None) == (normals is None):
        raise MetricInputError(
            "give either bases (the image each was made from) or normals, not both or neither"
        )
    if normals is not None:
        pool = image_array(normals, "normal")
        base = pool[nearest_normal(generated, pool)]
    else:
        base = image_array(bases, "base")
    if base.shape != generated.shape:
        raise MetricInputError(f"bases {base.shape} do not fit images {generated.shape}")
    rows = [
        _of_image(change_map(image, before, smoothed=normals is not None), mask)
        for image, before, mask in zip(generated, base, inside, strict=True)
        if mask.any() and not mask.all()
    ]
    if not rows:
        raise UndefinedMetricError("every mask is empty or full")
    within, without, contrast, overlap, boundary = np.array(rows).T
    scores = np.maximum(contrast, 0.0) * (overlap if normals is None else 1.0)
    inner, outer = within.mean(), without.mean()
    boundary = boundary[np.isfinite(boundary)]
    spread = {"score": scores, "boundary": boundary}
    if inner > 0:  # a ratio of means varies as its residuals do
        spread["spill"] = (without - outer / inner * within) / inner
    return MaskAgreement(
        score=float(scores.mean()),
        contrast=float(contrast.mean()),
        spill=float(outer / inner) if inner > 0 else None,
        overlap=float(overlap.mean()),
        boundary=float(boundary.mean()) if boundary.size else None,
        images=len(rows),
        left_out=len(generated) - len(rows),
        scores=scores,
        errors={
            name: error.error if (error := spread_of_mean(values)).is_known else None
            for name, values in spread.items()
        },
    )


def change_map(image: np.ndarray, base: np.ndarray, *, smoothed: bool) -> np.ndarray:
    """Absolute difference of uint8 images [H, W, 3], mean over channels (and 3 x 3 pixels), float64 0..1."""
    gap = np.abs(image.astype(np.int32) - base).sum(axis=2)
    if not smoothed:
        return gap / (3 * 255.0)
    from scipy import ndimage

    # whole numbers until the end: where nothing changed the mean is exactly 0
    return ndimage.convolve(gap, np.ones((3, 3), np.int32), mode="nearest") / (9 * 3 * 255.0)


def changed_pixels(change: np.ndarray) -> np.ndarray:
    """Pixels above Otsu's threshold of a change map that is not constant, bool [H, W]."""
    counts, edges = np.histogram(change, bins=256)
    middle = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        # the variance between the classes below and above each edge
        between = (total[-1] * below / below[-1] - total) ** 2 / (below * (below[-1] - below))
    return change > edges[1:][np.argmax(np.nan_to_num(between[:-1]))]


@on_one_blas_thread
def nearest_normal(images: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Index of the normal image with the smallest mean squared difference, int64 [N]."""
    if images.shape[1:] != normals.shape[1:]:
        raise MetricInputError(f"images {images.shape} and normals {normals.shape} differ in size")
    flat = normals.reshape(len(normals), -1).astype(np.float32) / 255.0
    norms = np.einsum("nd,nd->n", flat, flat, dtype=np.float64)
    nearest = []
    for start in range(0, len(images), IMAGES_A_BLOCK):
        block = images[start : start + IMAGES_A_BLOCK].reshape(-1, flat.shape[1]).astype(np.float32) / 255.0
        nearest.append((norms - 2.0 * (block @ flat.T)).argmin(axis=1))
    return np.concatenate(nearest)


def _of_image(change: np.ndarray, mask: np.ndarray) -> tuple[float, float, float, float, float]:
    from scipy import ndimage

    overlap = 0.0
    if change.max() > change.min():
        region = changed_pixels(change)
        overlap = float(np.count_nonzero(region & mask) / np.count_nonzero(region | mask))
    within, without = change[mask].mean(), change[~mask].mean()
    both = within + without
    slope = np.hypot(*np.gradient(change))
    # the outline runs between pixels: the nearest ones lie half a pixel from it
    away = np.where(mask, ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)) - 0.5
    on, near = slope[away <= 1.0].mean(), slope[(away > 1.0) & (away <= REACH)]
    beside = near.mean() if near.size else np.nan
    return (
        float(within),
        float(without),
        float((within - without) / both) if both > 0 else 0.0,
        overlap,
        0.5 if on + beside == 0 else float(on / (on + beside)),
    )
