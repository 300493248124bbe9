"""From the maps of a backbone to locally aware patches, and from a value per patch to a map of the image.

Roth et al., CVPR 2022, section 3.1: a vector per position from the maps of several layers. Every patch is
3x3, at stride 1, with zeros beyond the border.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import gcd
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

PATCH = 3
Upsampling = Literal["amazon", "anomalib"]


def embed(maps: Sequence[Tensor], embedding: str, dimension: int) -> Tensor:
    """Maps (B, C_l, H_l, W_l), the first the finest, to vectors float32 (B, H_1 W_1, D)."""
    # Averages over positions of all channels at once are several times faster in this layout.
    maps = [m.float().contiguous(memory_format=torch.channels_last) for m in maps]
    size = maps[0].shape[-2:]
    if embedding == "anomalib":
        parts = [_to(size, F.avg_pool2d(m, PATCH, 1, 1)) for m in maps]
    else:
        parts = _amazon(maps, dimension)
    vectors = maps[0].new_empty((len(maps[0]), *size, sum(p.shape[1] for p in parts)))
    at = 0
    for part in parts:
        vectors[..., at : at + part.shape[1]] = part.permute(0, 2, 3, 1)
        at += part.shape[1]
    return vectors.flatten(1, 2)


def _amazon(maps: Sequence[Tensor], dimension: int) -> list[Tensor]:
    """The released code's two averages: parts (B, d, H_1, W_1) whose d add up to `dimension`.

    There each layer's patches, flattened channel by channel to 9 C values, are averaged adaptively to
    `dimension` values, and those of all L layers, one after the other, to `dimension` again. Both are fixed
    linear maps of neighbouring values, so together they are one grouped 3x3 convolution a layer, and
    resizing, which is linear in the other axes, may follow it on the smaller tensor.
    """
    layers, size = len(maps), maps[0].shape[-2:]
    if dimension % layers:  # the second average straddles two layers: take the averages one by one
        joined = torch.cat([_to(size, _pooled(m, dimension, 1)) for m in maps], dim=1)
        flat = F.adaptive_avg_pool1d(joined.flatten(2).transpose(1, 2), dimension)
        return [flat.transpose(1, 2).unflatten(2, size)]
    return [_to(size, _pooled(m, dimension, layers)) for m in maps]


def _pooled(m: Tensor, dimension: int, layers: int) -> Tensor:
    channels = m.shape[1]
    if dimension == channels and channels % layers == 0:
        # The adaptive averages are plain means: of a patch, and of neighbouring channels.
        mean = m[:, ::layers]
        for at in range(1, layers):
            mean = mean + m[:, at::layers]
        mean = (mean / layers).contiguous(memory_format=torch.channels_last)
        return F.avg_pool2d(mean, PATCH, 1, 1)
    groups, weights = _kernels(channels, dimension, layers)
    return F.conv2d(m, weights.to(m.device), padding=1, groups=groups)


@lru_cache(maxsize=32)
def _kernels(channels: int, dimension: int, layers: int) -> tuple[int, Tensor]:
    """The groups and the weights float32 (dimension / layers, C / groups, 3, 3) of the convolution that takes
    a layer's patches to its part of the vector."""
    values = channels * PATCH * PATCH
    period = values // gcd(values, dimension)  # values after which bins and values begin together again
    unit = period // gcd(period, PATCH * PATCH)  # channels of the smallest group
    bins = unit * PATCH * PATCH * dimension // values
    unit *= layers // gcd(bins, layers)
    if channels % unit:
        unit = channels
    bins = unit * PATCH * PATCH * dimension // values
    weights = torch.zeros(bins, unit * PATCH * PATCH, dtype=torch.float64)
    for index in range(bins):
        start, end = index * values // dimension, -(-(index + 1) * values // dimension)
        weights[index, start:end] = 1 / (end - start)
    weights = weights.unflatten(0, (-1, layers)).mean(dim=1)
    groups = channels // unit
    return groups, weights.float().view(-1, unit, PATCH, PATCH).repeat(groups, 1, 1, 1)


def _to(size: torch.Size, m: Tensor) -> Tensor:
    if m.shape[-2:] == size:
        return m
    return F.interpolate(m, size, mode="bilinear", align_corners=False)


def image_maps(patches: Tensor, side: int, upsampling: Upsampling, sigma: float) -> Tensor:
    """Maps float32 (B, side, side) of patches (B, h, w): enlarged and blurred.

    Both steps are linear and act on rows and on columns alike, so that they are one matrix A: the map of an
    image is A P A', P its patches.
    """
    rows, columns = (_axis(n, side, upsampling, sigma).to(patches.device) for n in patches.shape[-2:])
    return rows @ patches.float() @ columns.T


@lru_cache(maxsize=16)
def _axis(patches: int, side: int, upsampling: Upsampling, sigma: float) -> Tensor:
    """float32 (side, patches)."""
    axis = _resize(torch.eye(patches, dtype=torch.float64), side, upsampling)
    if sigma:
        # Names of SciPy: "reflect" repeats the last value at the border, "mirror" does not.
        border = "reflect" if upsampling == "amazon" else "mirror"
        blurred = gaussian_filter1d(axis.numpy(), sigma, axis=0, mode=border)
        axis = torch.from_numpy(np.ascontiguousarray(blurred))
    return axis.float()


def _resize(axis: Tensor, length: int, upsampling: Upsampling) -> Tensor:
    """(n, patches) to (length, patches)."""
    if len(axis) == length:
        return axis
    if upsampling == "anomalib":
        return F.interpolate(axis.T[None], length, mode="nearest")[0].T
    return F.interpolate(axis.T[None], length, mode="linear", align_corners=False)[0].T
