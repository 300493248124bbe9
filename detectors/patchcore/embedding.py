"""Locally aware patches: a vector a position from the maps of several layers.

Roth et al., CVPR 2022, section 3.1. Every patch is 3x3, at stride 1, zeros beyond the border.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 3


def embed(maps: Sequence[Tensor], embedding: str, dimension: int) -> Tensor:
    """Maps (B, C_l, H_l, W_l), the first the finest, to vectors float32 (B, H_1 W_1, D)."""
    size = maps[0].shape[-2:]
    if embedding == "anomalib":
        means = [F.avg_pool2d(m.float(), PATCH, 1, 1) for m in maps]
        joined = torch.cat([_to(size, m) for m in means], dim=1)
    else:
        joined = _amazon([m.float() for m in maps], dimension)
    return joined.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def _amazon(maps: Sequence[Tensor], dimension: int) -> Tensor:
    """The released code's two averages, (B, dimension, H_1, W_1).

    There each layer's patches, flattened channel by channel to 9 C values, are averaged adaptively to
    `dimension` values, and those of all L layers, one after the other, to `dimension` again. Both are fixed
    linear maps of neighbouring values, so together they are one grouped 3x3 convolution a layer, and
    resizing, which is linear in the other axes, may follow it on the smaller tensor.
    """
    layers, size = len(maps), maps[0].shape[-2:]
    if dimension % layers:  # the second average straddles two layers: take the averages one by one
        joined = torch.cat([_to(size, _pooled(m, dimension, 1)) for m in maps], dim=1)
        flat = F.adaptive_avg_pool1d(joined.flatten(2).transpose(1, 2), dimension)
        return flat.transpose(1, 2).unflatten(2, size)
    return torch.cat([_to(size, _pooled(m, dimension, layers)) for m in maps], dim=1)


def _pooled(m: Tensor, dimension: int, layers: int) -> Tensor:
    channels = m.shape[1]
    groups, weights = _kernels(channels, dimension, layers)
    weights = weights.to(m.device)
    if bool((weights == weights[..., :1, :1]).all()) and dimension == channels:
        # The adaptive averages are plain means: of a patch, then of neighbouring channels.
        means = F.avg_pool2d(m, PATCH, 1, 1)
        return means if layers == 1 else means.unflatten(1, (-1, layers)).mean(dim=2)
    return F.conv2d(m, weights, padding=1, groups=groups)


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
