"""Find images that show nearly the same thing on both sides of a split, by perceptual hash.

A 64-bit hash of the coarse structure of an image (pHash: Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010): grey, area mean to 32 x 32, discrete cosine transform, the 8 x 8
lowest frequencies after the constant ones, each bit whether a coefficient is above their median. Unrelated
images differ in about 32 bits.

Deviation from pHash: the small image is brought to mean 0 and deviation 1, and the mean of the category's
normal images is taken off first. Photographs of one product in one pose all look alike to plain pHash; what
is left after the mean is what tells one part from another, and exposure is gone as well.
"""

from typing import NamedTuple

import numpy as np

from bench.data.images import cell_sums

DEFAULT_THRESHOLD = 10
"""In magnetic tiles, whose parts were photographed several times at several exposures, pairs up to 10 bits
show one part, pairs at 12 are mixed; parts of different render seeds in one pose begin at 6 to 8."""
_SIDE = 32
_GREY = np.array([299, 587, 114])  # ITU-R BT.601 luma, in thousandths


class Pair(NamedTuple):
    """Row of the left image, row of the right image, and in how many of 64 bits their hashes differ."""

    left: int
    right: int
    distance: int


def near_duplicates(
    left: np.ndarray, right: np.ndarray, normal: np.ndarray, threshold: int = DEFAULT_THRESHOLD
) -> list[Pair]:
    """Pairs of images of one category whose hashes differ in at most `threshold` bits, nearest first.

    left uint8 [N, H, W, 3], right uint8 [M, H, W, 3]; normal uint8 [K, H, W, 3], K >= 1, tells what all
    images of the category have in common. Memory maps are read image by image.
    """
    common = _small(normal).mean(axis=0)
    ours, theirs = (_hashes(_small(side) - common) for side in (left, right))
    distances = np.bitwise_count(ours[:, None] ^ theirs[None])  # (N, M)
    pairs = [Pair(int(i), int(j), int(distances[i, j])) for i, j in np.argwhere(distances <= threshold)]
    return sorted(pairs, key=lambda pair: (pair.distance, pair.left, pair.right))


def _small(images: np.ndarray) -> np.ndarray:
    """float64 [N, 32, 32], each of mean 0 and deviation 1 (0 where an image is of one grey)."""
    small = np.empty((len(images), _SIDE, _SIDE))
    for row, image in enumerate(images):
        grey = image @ _GREY  # int64 (H, W)
        small[row] = cell_sums(cell_sums(grey, _SIDE).T, _SIDE).T
    small -= small.mean(axis=(1, 2), keepdims=True)
    deviation = small.std(axis=(1, 2), keepdims=True)
    return small / np.where(deviation > 0, deviation, 1)


def _hashes(small: np.ndarray) -> np.ndarray:
    """uint64 [N] of [N, 32, 32]."""
    from scipy.fft import dct

    waves = dct(dct(small, axis=1), axis=2)[:, 1:9, 1:9].reshape(len(small), 64)
    # Rounding: images equal but for the last bit of a float must not differ in 64 bits.
    bits = waves.round(6) > np.median(waves, axis=1, keepdims=True).round(6)
    return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)
