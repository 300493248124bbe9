"""Defects so thin that their mask is empty at the resolution of a run, and the resolution that keeps them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.data.images import resize_mask
from bench.data.layout import Category

STEP = 32
"""Resolutions are looked through in steps of so many pixels."""


def resolution_that_keeps(mask: np.ndarray, resolution: int) -> int | None:
    """The least resolution above this one at which something is left of a mask that is empty at this one.

    None where the mask has a pixel at this resolution, or none at all. mask: bool [H, W].
    """
    if not mask.any() or resize_mask(mask, resolution).any():
        return None
    full_size = max(mask.shape)
    for size in range(resolution // STEP * STEP + STEP, full_size, STEP):
        if resize_mask(mask, size).any():
            return size
    return full_size


def vanished(category: Category, resolution: int, kept_at: Mapping[Path, int]) -> Iterator[tuple[Path, str]]:
    """For each defect type that loses masks: their folder, and a sentence of how many and what keeps them.

    kept_at: mask file to `resolution_that_keeps`, of those that have one.
    """
    for defect, items in category.defects.items():
        lost = [item.mask_path for item in items if item.mask_path is not None and item.mask_path in kept_at]
        if lost:
            size = max(kept_at[path] for path in lost)
            yield (
                lost[0].parent,
                f"has {_counted(lost, len(items), defect, resolution)}, so the pixels of these defects are "
                f"not scored; {size}x{size} keeps them all",
            )


def vanished_generated(lost: Mapping[Path, int], count: int, defect: str, resolution: int) -> str:
    """The sentence about generated masks of a type, of `count`, that are lost; each to what keeps it."""
    size = max(lost.values())
    return (
        f"has {_counted(list(lost), count, defect, resolution)}, so that a detector learns these defects as "
        f"normal; {size}x{size} keeps them all"
    )


def _counted(lost: Sequence[Path], count: int, defect: str, resolution: int) -> str:
    return (
        f"{len(lost)} of {count} {defect} masks of which nothing is left at {resolution}x{resolution} "
        f"(the first: {lost[0].name})"
    )
