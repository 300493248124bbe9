"""Small anomaly maps with regions, ties and signs, and a brute-force search of regions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Case = tuple[np.ndarray, np.ndarray]


def make_case(
    seed: int, images: int = 6, side: int = 24, decimals: int | None = 2, shift: float = -0.6
) -> Case:
    """maps float32 [N, side, side] with ties and negative values; masks with 1 to 3 regions in most."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((images, side, side), bool)
    for mask in masks[: max(1, images - 2)]:
        for _ in range(rng.integers(1, 4)):
            y, x = rng.integers(0, side - 4, 2)
            mask[y : y + rng.integers(1, 8), x : x + rng.integers(1, 8)] = True
    maps = rng.random(masks.shape) + masks * rng.random(masks.shape) * 0.8 + shift
    if decimals is not None:
        maps = maps.round(decimals)
    return maps.astype(np.float32), masks


@pytest.fixture
def case() -> Callable[..., Case]:
    return make_case


def regions_of(mask: np.ndarray) -> list[np.ndarray]:
    """8-connected regions by flood fill, each a list of (row, column)."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    while left:
        stack, region = [left.pop()], []
        while stack:
            y, x = stack.pop()
            region.append((y, x))
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    stack.append(near)
        regions.append(np.array(region))
    return regions


@pytest.fixture
def flood_regions() -> Callable[[np.ndarray], list[np.ndarray]]:
    return regions_of
