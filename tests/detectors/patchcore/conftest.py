"""PatchCore's own arithmetic written out plainly, as references."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def plain_greedy(features: np.ndarray, distances: np.ndarray, size: int) -> list[int]:
    """The farthest point, again and again; every distance directly, in double precision."""
    x, d, chosen = features.astype(np.float64), distances.astype(np.float64).copy(), []
    for _ in range(size):
        chosen.append(int(d.argmax()))
        d = np.minimum(d, np.sqrt(((x - x[chosen[-1]]) ** 2).sum(axis=1)))
    return chosen


def plain_patches(maps: Sequence[Tensor], dimension: int) -> Tensor:
    """The released code's steps, each by itself: unfold, resize each value of a patch, average, average."""
    size, layers = maps[0].shape[-2:], []
    for m in maps:
        values = F.unfold(m, 3, padding=1).unflatten(2, m.shape[-2:])  # (B, 9 C, h, w), channel by channel
        if values.shape[-2:] != size:
            values = F.interpolate(values, size, mode="bilinear", align_corners=False)
        layers.append(
            F.adaptive_avg_pool1d(values.flatten(2).transpose(1, 2), dimension)
        )  # (B, P, dimension)
    return F.adaptive_avg_pool1d(torch.cat(layers, dim=2), dimension)


def manifold(points: int, width: int, seed: int = 0) -> np.ndarray:
    """Points float32 [N, D] on a bent surface of few dimensions, as features of patches are, and noise."""
    rng = np.random.default_rng(seed)
    hidden = np.maximum(rng.normal(size=(points, 8)) @ rng.normal(size=(8, 64)), 0)
    return (hidden @ rng.normal(size=(64, width)) / 8 + 0.02 * rng.normal(size=(points, width)) + 3).astype(
        np.float32
    )


@pytest.fixture(scope="session")
def greedy() -> Callable[..., list[int]]:
    return plain_greedy


@pytest.fixture(scope="session")
def patches() -> Callable[..., Tensor]:
    return plain_patches


@pytest.fixture(scope="session")
def points() -> Callable[..., np.ndarray]:
    return manifold
