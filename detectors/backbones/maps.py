"""From a map of patches to a map of the image: enlarged, blurred, put in its place.

Each of these steps is linear and acts on rows and on columns alike, so all of them together are one matrix A:
the map of an image is A P A', P its patches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

Upsampling = Literal["amazon", "anomalib"]


def image_maps(
    patches: Tensor, size: int, crop: int | None, side: int, upsampling: Upsampling, sigma: float
) -> Tensor:
    """Maps float32 (B, side, side) of patches (B, h, w): enlarged to the `crop` that was looked at (or to all
    of `size`), blurred there, 0 in the rest of `size`, and resized bilinearly to `side`."""
    inner = size if crop is None else crop
    rows, columns = (
        _axis(n, inner, size, side, upsampling, sigma).to(patches.device) for n in patches.shape[-2:]
    )
    return rows @ patches.float() @ columns.T


@lru_cache(maxsize=16)
def _axis(patches: int, inner: int, size: int, side: int, upsampling: Upsampling, sigma: float) -> Tensor:
    """float32 (side, patches)."""
    axis = _resize(torch.eye(patches, dtype=torch.float64), inner, upsampling)
    if sigma:
        # Names of SciPy: "reflect" repeats the last value at the border, "mirror" does not.
        border = "reflect" if upsampling == "amazon" else "mirror"
        blurred = gaussian_filter1d(axis.numpy(), sigma, axis=0, mode=border)
        axis = torch.from_numpy(np.ascontiguousarray(blurred))
    before = round((size - inner) / 2)
    axis = F.pad(axis, (0, 0, before, size - inner - before))
    return _resize(axis, side, "amazon").float()


def _resize(axis: Tensor, length: int, upsampling: Upsampling) -> Tensor:
    """(n, patches) to (length, patches)."""
    if len(axis) == length:
        return axis
    if upsampling == "anomalib":
        return F.interpolate(axis.T[None], length, mode="nearest")[0].T
    return F.interpolate(axis.T[None], length, mode="linear", align_corners=False)[0].T
