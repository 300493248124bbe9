"""What DRAEM learns from: an image, what it should be painted over to, and where the defect is.

Section 3.3 of the paper for pseudo-anomalies. Generated and real defects come as they are; where the image
before the defect is not known, its place is left out of the reconstruction's loss.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.data.images import resize_image, resize_mask
from bench.methods import Batch
from bench.methods.textures.perlin import perlin_mask
from bench.methods.textures.photographs import augmented
from detectors.draem.params import DraemParams
from detectors.pseudo import Textures, material, painted


class DraemBatch(NamedTuple):
    """images and clean uint8 [B, H, W, 3], masks bool [B, H, W]; has_clean bool [B, H, W], false where the
    clean image is not known."""

    images: np.ndarray
    clean: np.ndarray
    masks: np.ndarray
    has_clean: np.ndarray


def examples(
    batch: Batch, params: DraemParams, textures: Textures, stream: Callable[[int], np.random.Generator]
) -> DraemBatch:
    """The examples of a batch drawn with bases; the one in row i draws from `stream(i)` alone."""
    assert batch.masks is not None
    assert batch.pseudo is not None
    assert batch.base is not None
    assert batch.has_base is not None
    images, clean, masks = batch.images.copy(), batch.base.copy(), batch.masks.copy()
    for row in range(len(images)):
        rng = stream(row)
        if rng.random() < params.rotated:
            angle = rng.uniform(-params.rotation, params.rotation)
            images[row] = turned(images[row], angle, Image.Resampling.BILINEAR)
            clean[row] = turned(clean[row], angle, Image.Resampling.BILINEAR)
            masks[row] = turned(masks[row], angle, Image.Resampling.NEAREST)
        if batch.pseudo[row]:
            images[row], masks[row] = pseudo_anomaly(clean[row], params, textures, rng)
    return DraemBatch(images, clean, masks, batch.has_base[:, None, None] | ~masks)


def pseudo_anomaly(
    image: np.ndarray, params: DraemParams, textures: Textures, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image uint8 [H, W, 3] with a texture laid in, and where, bool [H, W].

    The mask can be empty, about one time in twenty at the paper's threshold: the image is then a normal one,
    as in the released code.
    """
    size = image.shape[:2]
    mask = perlin_mask(size, rng, octaves=params.octaves, threshold=params.threshold)
    texture = material(image, params, lambda: augmented(textures(size, rng), rng, params.operations), rng)
    beta = rng.uniform(0, params.opacity) if params.opacity else 0.0
    return painted(image, texture, mask, beta), mask


def resized_images(images: np.ndarray, side: int | None) -> np.ndarray:
    """Images uint8 [B, H, W, 3] as the network sees them: `side` pixels high and wide, None: as they are."""
    return images if side is None else np.stack([resize_image(np.asarray(image), side) for image in images])


def resized(batch: Batch, side: int | None) -> Batch:
    """The batch with images, bases and masks of `side` pixels, or as it is where that is None."""
    if side is None or batch.images.shape[1] == side:
        return batch
    assert batch.base is not None
    assert batch.masks is not None
    return batch._replace(
        images=resized_images(batch.images, side),
        base=resized_images(batch.base, side),
        masks=np.stack([resize_mask(mask, side) for mask in batch.masks]),
    )


def turned(array: np.ndarray, angle: float, resampling: Image.Resampling) -> np.ndarray:
    """An image or mask turned by `angle` degrees about its centre, black or false beyond its corners."""
    return np.asarray(Image.fromarray(array).rotate(angle, resampling)).astype(array.dtype)
