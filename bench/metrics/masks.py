"""Ground-truth masks at the resolution where they are compared with maps.

Every mask goes from its file to the score through `prepare_masks`: test masks, the truth of a dialect, the
masks of generated images. The rules of published repositories differ by several points of AP
(docs/explanation/disagreements.md, D13), so the filter and the rule are named and part of every dialect:

    default             area filter, share of the cell `> 0.5`   exact coverage: most of the pixel is defect
    truncate            bilinear without antialiasing, `== 1`    erodes: DRAEM, AnomalyDiffusion (OpenCV)
    truncate-antialias  bilinear with antialiasing, `== 1`       erodes more: GLASS, PatchCore, LFD's IoU
    nonzero-antialias   bilinear with antialiasing, `!= 0`       dilates: LFD's AUROC, AP and F1
    ader                bilinear with antialiasing, `> 0.5`      ADer
    nonzero             bilinear without antialiasing, `!= 0`    of no repository
    (anomalib binarises `> 0` and takes the nearest pixel: filter "nearest", any rule)

All start from the binarised mask (`binarise_mask`), which for 0/255 masks is what they do.

Precision: for `area` the coverage is an integer count, so `> 0.5` is exact at any ratio, ties included.
`bilinear` is OpenCV's resize of a mask of 8 bits and `bilinear-antialias` Pillow's, bit by bit: what they
round to 0 or to 255 is what repositories take for 0 or 1 (tests/metrics/test_repositories.py).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.metrics.inputs import MetricInputError, require_choice, to_numpy
from bench.record import catalogue

FILTERS = ("area", "bilinear", "bilinear-antialias", "nearest")
RULES = ("half", "truncate", "nonzero", "half-or-most")
MASK_DIALECTS = {
    name: (dialect.scoring.mask_filter, dialect.scoring.mask_rule)
    for name, dialect in catalogue.dialects().items()
    if dialect.scoring
    and replace(dialect.scoring, mask_filter="area", mask_rule="half") == catalogue.Scoring()
}
"""Each dialect that changes nothing but masks, with its filter and rule."""
RECORDED_MASK_RULES = tuple(
    name for name in MASK_DIALECTS if name != "default" and not catalogue.dialects()[name].unrecorded
)
"""The mask dialects that a run records beside the default."""
_BAND = 1 << 23
"""Pixels of a mask that are floats at once."""


def binarise_mask(raw: Any) -> np.ndarray:
    """Raw mask of any integer, float or bool type -> bool, same shape.

    Images with grey levels: defect where the value is above half of the type's range (`> 127` for 8
    bits, `> 32767` for 16), provided the mask's maximum is above it. Otherwise the mask holds {0, 1} or
    small ids (VisA), and every non-zero pixel is defect. Floats: `> 0.5` up to maximum 1, else `!= 0`.
    """
    mask = to_numpy(raw, "mask")
    if mask.dtype == bool:
        return mask
    if mask.size == 0:
        raise MetricInputError(f"mask is empty (shape {mask.shape})")
    if np.issubdtype(mask.dtype, np.floating):
        if not np.isfinite(mask).all():
            raise MetricInputError("mask holds a value that is NaN or infinite")
        return mask > 0.5 if mask.max() <= 1 else mask != 0
    if not np.issubdtype(mask.dtype, np.integer):
        raise MetricInputError(f"mask must be bool, integer or float, not {mask.dtype}")
    top = int(mask.max())
    # a wider type (a PNG opened in mode I) still carries 8- or 16-bit levels
    half = 127 if mask.dtype.itemsize == 1 or top <= 255 else 32767
    return mask > half if top > half else mask != 0


def prepare_masks(
    raw: Any, size: int | tuple[int, int], *, filter: str = "area", rule: str = "half"
) -> np.ndarray:
    """Binarise, resize and binarise again.

    raw: one mask [H, W], a stack [N, H, W], or a sequence of masks of differing sizes; any type that
    `binarise_mask` takes (each mask is binarised on its own). size: (height, width), or one number for both.
    Returns bool [h, w] for one mask, else bool [N, h, w].
    filter: area | bilinear | bilinear-antialias | nearest (library only). rule: half (`> 0.5`) | truncate
    (`== 1`) | nonzero (`!= 0`) | half-or-most (half; where that leaves nothing of a defect, the cells that it
    covers most). `MASK_DIALECTS` names the pairs that repositories use.
    Raises MetricInputError.

    Precision: see the module.
    """
    require_choice(filter, FILTERS, "mask filter")
    require_choice(rule, RULES, "mask rule")
    height, width = _height_and_width(size)
    if height < 1 or width < 1:
        raise MetricInputError(f"mask size must be at least 1 x 1, not {height} x {width}")
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        several = [to_numpy(mask, f"mask {i}") for i, mask in enumerate(raw)]
    else:
        array = to_numpy(raw, "masks")
        if array.ndim == 2:
            return _prepare(array, height, width, filter, rule)
        if array.ndim != 3:
            raise MetricInputError(f"masks must be [H, W] or [N, H, W], but have shape {array.shape}")
        several = list(array)
    if not several:
        raise MetricInputError("masks are empty: there is nothing to prepare")
    return np.stack([_prepare(mask, height, width, filter, rule) for mask in several])


def _height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    try:
        if isinstance(size, tuple | list):
            height, width = map(operator.index, size)
        else:
            height = width = operator.index(size)
    except (TypeError, ValueError) as error:
        raise MetricInputError(
            f"mask size must be (height, width) or one whole number, not {size}"
        ) from error
    return height, width


def _prepare(raw: np.ndarray, height: int, width: int, filter: str, rule: str) -> np.ndarray:
    if raw.ndim != 2:
        raise MetricInputError(f"a mask must be [H, W], but has shape {raw.shape}")
    mask = binarise_mask(raw)
    out = np.zeros((height, width), bool)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return out
    if filter == "bilinear":
        return _hit(_resized_by_opencv(mask, height, width), 255, rule)
    if filter == "bilinear-antialias":
        return _hit(_resized_by_pillow(mask, height, width), 255, rule)
    # defects are small: only the bounding box of the mask, and the output cells that it reaches, are computed
    top, bottom, first_column, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    vertical, full_v = _weights(mask.shape[0], height, filter)
    horizontal, full_h = _weights(mask.shape[1], width, filter)
    vertical, horizontal = vertical[:, top:bottom], horizontal[:, first_column:right]
    into_rows = np.flatnonzero(vertical.any(axis=1))
    into_columns = np.flatnonzero(horizontal.any(axis=1))
    if not into_rows.size or not into_columns.size:  # nearest can step over a thin defect
        return out
    inside = mask[top:bottom, first_column:right]
    share = _weighted(vertical[into_rows], inside) @ horizontal[into_columns].T
    out[np.ix_(into_rows, into_columns)] = _hit(share, full_v * full_h, rule)
    return out


def _hit(share: np.ndarray, full: float, rule: str) -> np.ndarray:
    """Which cells are defect, where one that is wholly covered has the share `full`.

    Shares are whole numbers, so 2 * share > full decides the tie of a half-covered cell exactly.
    """
    if rule == "truncate":
        return share >= full
    if rule == "nonzero":
        return share > 0
    hit = 2 * share > full
    if rule == "half" or hit.any():
        return hit
    return (share == share.max()) & (share > 0)


def _resized_by_opencv(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """What `cv2.resize` makes of the mask as 0 and 255, int64 [height, width].

    Its arithmetic is of whole numbers: weights in 1/2048, and four bits less between the two directions.
    """
    upper, (above, below) = _two_neighbours(mask.shape[0], height)
    first_column, (before, after) = _two_neighbours(mask.shape[1], width)
    rows = np.stack([upper, np.minimum(upper + 1, mask.shape[0] - 1)])[:, :, None]
    of_left, of_right = (
        mask[rows, columns].astype(np.int64) * 255
        for columns in (first_column, np.minimum(first_column + 1, mask.shape[1] - 1))
    )
    first, second = (of_left * before + of_right * after) >> 4
    return (((above[:, None] * first) >> 16) + ((below[:, None] * second) >> 16) + 2) >> 2


def _two_neighbours(source: int, target: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Of each cell of one axis the first of two pixels, int [target], and the weights of both in 1/2048."""
    centres = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first_pixel = np.floor(centres).astype(int)
    part = np.where((first_pixel < 0) | (first_pixel >= source - 1), np.float32(0), centres - first_pixel)
    weights = tuple(np.rint(share * np.float32(2048)).astype(np.int64) for share in (1 - part, part))
    return np.clip(first_pixel, 0, source - 1), (weights[0], weights[1])


def _resized_by_pillow(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """What Pillow's antialiased bilinear resize makes of the mask as 0 and 255, int64 [height, width]."""
    from PIL import Image

    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).astype(np.int64)


def _weighted(weights: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """weights @ inside, which is copied to floats in bands of rows where it is large."""
    rows = max(1, _BAND // inside.shape[1])
    if len(inside) <= rows:
        return weights @ inside.astype(weights.dtype)
    total = np.zeros((len(weights), inside.shape[1]), weights.dtype)
    for top in range(0, len(inside), rows):
        total += weights[:, top : top + rows] @ inside[top : top + rows].astype(weights.dtype)
    return total


def _weights(source: int, target: int, filter: str) -> tuple[np.ndarray, float]:
    """Weights float [target, source] of one axis, and the sum that a row has."""
    if filter == "nearest":
        weights = np.zeros((target, source), np.float64)
        weights[np.arange(target), (np.arange(target) * source) // target] = 1.0
        return weights, 1.0
    # in units of 1/target of a source pixel, cell i covers i source .. (i+1) source
    # and pixel j covers j target .. (j+1) target
    cell, pixel = np.arange(target)[:, None] * source, np.arange(source)[None, :] * target
    overlap = np.minimum(cell + source, pixel + target) - np.maximum(cell, pixel)
    return np.maximum(overlap, 0).astype(np.float64), float(source)
