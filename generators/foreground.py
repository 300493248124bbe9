"""Where the object is in an image of normal product: colour distance from the border of the image."""

import numpy as np
from PIL import Image
from scipy import ndimage

WORK = 64
"""Side in pixels at which the estimate is made: outlines need no more, and it costs under a millisecond."""
LEAST_CONTRAST = 24
"""Grey levels by which the object must differ from the border at least."""


def foreground(image: np.ndarray) -> np.ndarray:
    """Estimate the object's pixels, uint8 [H, W, 3] -> bool [H, W].

    The background is taken to be what the border of the image shows. Where the border is not of one colour,
    or nothing stands out from it, the product fills the frame (a texture) and every pixel is foreground.
    """
    height, width = image.shape[:2]
    small = np.asarray(Image.fromarray(image).resize((WORK, WORK), Image.Resampling.BOX)).astype(np.int16)
    rim = np.concatenate([small[:2].reshape(-1, 3), small[-2:].reshape(-1, 3), small[:, 0], small[:, -1]])
    distance = np.abs(small - np.rint(np.median(rim, axis=0)).astype(np.int16)).max(axis=2)
    threshold = max(LEAST_CONTRAST, _otsu(distance) // 2)
    rim_distance = np.concatenate([distance[0], distance[-1], distance[:, 0], distance[:, -1]])
    if np.mean(rim_distance > threshold) > 0.3:
        return np.ones((height, width), dtype=bool)
    found = ndimage.binary_fill_holes(ndimage.binary_opening(distance > threshold))
    if found.mean() < 0.05:
        return np.ones((height, width), dtype=bool)
    return np.asarray(Image.fromarray(found).resize((width, height), Image.Resampling.NEAREST))


def _otsu(values: np.ndarray) -> int:
    """The threshold in 0..255 between the two groups of values with the largest variance between them."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return int(np.argmax(np.nan_to_num(between)))
