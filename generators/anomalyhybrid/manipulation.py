"""Local anomalies: the region and what is done to depth and edges in it (section 3.5).

Mask. The region is the reference's anomaly region, resized, mirrored and cropped, joined with the target's
own where the target has one. It is laid where its surroundings look like those it comes from, since the
paper does not say where. On its own, it fills the region with the reference's colours and leaves the
target's structure.
Merge. Edges of reference and target both stay (their maximum), depth is their mean.
Remove. No edges, and the depth of the background: the far end of the target's depth map.
Replace. The reference's edges and depth.
TPS. The reference's maps and the region itself are bent by a local thin-plate spline first.

A depth value means little away from its surroundings, so the reference's depth is lifted or lowered to meet
the target's around the region before it is merged or replaces.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from generators.anomalyhybrid.augmentation import identity_grid, local_spline, warp

SCALES = (0.75, 1.35)
CROPPED = 0.25
"""Share of regions of which a part is cut off."""
LEAST = 4
"""A region of fewer pixels has vanished."""
LOST = 0.05
"""Largest share of a region, and twice that of its surroundings, that may fall off the image."""
FITTING = 0.1
"""How far from the least mismatch to the median one a place may be and still be taken."""
RING = 4
"""Width in pixels of the surroundings that decide where a region is laid."""
FAR = 2.0
"""The percentile of a depth map that counts as its background."""
BEND = 0.3
"""Largest shift of a control point of TPS, in half sides of the region."""
BRIGHTER = 0.2
"""Largest change of a colour channel that makes a reference as bright as its target, in 0..1."""


class Region(NamedTuple):
    """A reference moved over its target: stack float32 [5, H, W] and its anomaly region bool [H, W]."""

    stack: np.ndarray
    mask: np.ndarray


def move(
    stack: np.ndarray, mask: np.ndarray, target: np.ndarray, bend: bool, rng: np.random.Generator
) -> Region:
    """The reference resized, mirrored, cropped, perhaps bent, and laid on the target [5, H, W].

    An anomaly at the border of its image stays at the border. One that would vanish stays as it is.
    """
    side = mask.shape[0]
    flip = np.where(rng.random(2) < 0.5, -1.0, 1.0)
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    moves = rng.uniform(-1, 1, size=(9, 2)) * BEND * bend
    stays = bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
    scale = 1.0 if stays else scale
    mask = _cropped(mask, rng)
    centre, half = _frame(mask)  # in -1..1
    half = max(half * scale, 0.1)
    layers = torch.from_numpy(np.concatenate([stack, mask[None].astype(np.float32)]))[None]

    def moved_by(shift: np.ndarray) -> Region:
        bent = identity_grid(side) - shift + local_spline(side, shift, half, moves * half)
        grid = (bent * flip / scale + centre).astype(np.float32)
        moved = warp(layers, torch.from_numpy(grid)[None])[0].numpy()
        # beyond the border the source is reflected, and the region must not be
        return Region(moved[:5], (moved[5] > 0.5) & (np.abs(grid) <= 1).all(axis=2))

    middle = moved_by(np.zeros(2))
    home = centre * flip
    if middle.mask.sum() < LEAST:
        return Region(stack, mask)
    placed = moved_by(home if stays else _place(middle, home, target, rng))
    return placed if placed.mask.sum() >= LEAST else Region(stack, mask)


def manipulate(kind: str, target: np.ndarray, region: Region, mask: np.ndarray) -> np.ndarray:
    """The target's structure (depth, edges) [2, H, W] with `kind` done in the region `mask`."""
    structure = target[3:].copy()
    if kind == "mask":
        return structure
    weight = feather(mask, 1)
    ring = around(mask)
    depth, edges = region.stack[3], region.stack[4]
    if ring.any():
        depth = depth + target[3][ring].mean() - depth[ring].mean()
    if kind == "merge":
        depth, edges = (depth + target[3]) / 2, np.maximum(edges, target[4])
    elif kind == "remove":
        depth, edges = np.full_like(depth, np.percentile(target[3], FAR)), np.zeros_like(edges)
    structure[0] += weight * (depth - structure[0])
    structure[1] += weight * (edges - structure[1])
    return structure


def around(mask: np.ndarray) -> np.ndarray:
    """The surroundings of a region: within `RING` pixels of it, itself and its rim left out."""
    return ndimage.binary_dilation(mask, iterations=RING + 1) & ~ndimage.binary_dilation(mask)


def matched(colour: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The reference's colour [3, H, W], made as bright around the region as the target's is.

    Each channel is lifted or lowered by `BRIGHTER` at most.
    """
    ring = around(mask)
    if not ring.any():
        return colour
    lift = target[:3][:, ring].mean(axis=1) - colour[:, ring].mean(axis=1)
    return np.clip(colour + np.clip(lift, -BRIGHTER, BRIGHTER)[:, None, None], 0, 1)


def feather(mask: np.ndarray, pixels: int) -> np.ndarray:
    """1 within `pixels` of the mask, falling to 0 over as many more; float32."""
    if not pixels:
        return mask.astype(np.float32)
    distance = ndimage.distance_transform_edt(~mask)
    return np.clip(2 - distance / pixels, 0, 1).astype(np.float32)


def _cropped(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At times half of the region, on one side of a line through its middle."""
    angle, crops = rng.uniform(0, 2 * np.pi), rng.random() < CROPPED
    if not crops:
        return mask
    points = np.argwhere(mask)
    beside = ((np.argwhere(np.ones_like(mask)) - points.mean(axis=0)) @ (np.sin(angle), np.cos(angle))) > 0
    part = mask & beside.reshape(mask.shape)
    return part if part.sum() >= 4 else mask


def _frame(mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (x, y) of the bounding box in -1..1, and half of its longer side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]]) + 1
    return (low + high) / mask.shape[0] - 1, float((high - low).max()) / mask.shape[0]


def _place(middle: Region, home: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The shift (x, y) in -1..1 from the middle of the image to a place whose surroundings fit.

    All shifts by whole pixels are compared; one is drawn of those whose mean squared difference of colour and
    depth around the region is near the least. `home` is taken where no shift keeps the region in the image.
    """
    side = middle.mask.shape[0]
    ring = around(middle.mask).astype(np.float64)
    ones, body = np.ones((side, side)), middle.mask.astype(np.float64)
    cost = np.zeros((2 * side, 2 * side))
    for around_region, channel in zip(
        middle.stack[:4].astype(np.float64), target[:4].astype(np.float64), strict=True
    ):
        cost += (
            _slid(ones, ring * around_region**2)
            - 2 * _slid(channel, ring * around_region)
            + _slid(channel**2, ring)
        )
    count, inside = _slid(ones, ring), _slid(ones, body) / body.sum()
    possible = (inside > 1 - LOST) & (count > (1 - 2 * LOST) * ring.sum())
    if not possible.any():
        return home
    mean = np.where(possible, cost / np.maximum(count, 1), np.inf)
    least, median = mean.min(), np.median(mean[possible])
    shifts = np.argwhere(mean <= least + FITTING * (median - least))
    row, column = shifts[rng.integers(len(shifts))]
    wrapped = (np.array([column, row]) + side) % (2 * side) - side
    return wrapped * 2 / side


def _slid(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """For every shift s (rows, columns; negative ones wrap round) the sum of kernel(x) image(x + s), with
    zeros beyond the image; [2H, 2W]."""
    size = (2 * image.shape[0], 2 * image.shape[1])
    return np.fft.irfft2(np.fft.rfft2(image, size) * np.conj(np.fft.rfft2(kernel, size)), size)
