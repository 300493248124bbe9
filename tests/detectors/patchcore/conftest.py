"""PatchCore's own arithmetic written out plainly, as references."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data.images import read_image, read_mask, resize_image, resize_mask


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


class MagneticTile(NamedTuple):
    """Magnetic Tile Defect images of one size: normals to learn from, and test images with their masks."""

    normal: np.ndarray
    test: np.ndarray
    masks: np.ndarray


@pytest.fixture(scope="session")
def magnetic_tile() -> Callable[..., MagneticTile]:
    """The first `normals` normal training images, and every `step`-th test image."""
    shared = Path(os.environ.get("DEFECTBENCH_SHARED", Path(__file__).resolve().parents[3] / "../shared"))
    root = shared / "data" / "mtd" / "magnetic_tile"
    if not root.is_dir():
        pytest.skip(f"{root} is not there; set DEFECTBENCH_SHARED")

    def load(side: int, normals: int | None = None, step: int = 1) -> MagneticTile:
        def image(path: Path) -> np.ndarray:
            return resize_image(read_image(path), side)

        def mask(path: Path) -> np.ndarray:
            if path.parent.name == "good":
                return np.zeros((side, side), bool)
            truth = root / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
            return resize_mask(read_mask(truth), side)

        train = sorted((root / "train" / "good").iterdir())[:normals]
        test = sorted((root / "test").glob("*/*"))[::step]
        return MagneticTile(
            np.stack([image(p) for p in train]),
            np.stack([image(p) for p in test]),
            np.stack([mask(p) for p in test]),
        )

    return load
