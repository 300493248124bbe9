"""Connected regions of ground-truth masks, 8-connected as in MVTec's evaluation code."""

from __future__ import annotations

import numpy as np


def region_weights(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """(1 / size of its region for every defect pixel, in row order, float64 [P]; number of regions).

    mask: bool [H, W]. The weights of one region sum to 1, so that a weighted count of defect pixels
    above a threshold is the sum of region overlaps.
    """
    sizes, count = region_sizes(mask)
    return 1.0 / sizes, count


def region_sizes(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """(pixels of its region for every defect pixel, in row order, int64 [P]; number of regions)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros(0, np.int64), 0
    from scipy import ndimage

    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels, count = ndimage.label(box, structure=np.ones((3, 3)))
    of_pixel = labels[box]
    sizes = np.bincount(of_pixel, minlength=count + 1)
    return sizes[of_pixel], int(count)
