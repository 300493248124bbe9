"""A rendered split of easy defects, contexts with a scratch folder of their own, and the papers' masks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.conformance.blob_split import blob_split
from bench.methods import DetectorSplit
from bench.methods.context import Context


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def blobs() -> DetectorSplit:
    return blob_split(64)


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    def make(name: str = "scratch", **given: Any) -> Context:
        scratch = tmp_path / name
        scratch.mkdir(exist_ok=True)
        return Context(0, "detector.fit", "test", "", "cpu", scratch, **given)

    return make


@pytest.fixture(scope="session")
def released_mask() -> Callable[[int, np.random.Generator], np.ndarray]:
    """A mask bool [side, side] by the steps of DRAEM's released perlin.py, which GLASS's repeats."""

    def corners(angles: np.ndarray, cells: tuple[int, int], side: int) -> np.ndarray:
        y, x = np.mgrid[0:side, 0:side]
        at = np.stack((y * cells[0] / side, x * cells[1] / side), axis=-1) % 1
        gradients = np.stack((np.cos(angles), np.sin(angles)), axis=-1)
        dots = {}
        for down in (0, 1):
            for right in (0, 1):
                part = gradients[down : down + cells[0], right : right + cells[1]]
                wide = part.repeat(side // cells[0], axis=0).repeat(side // cells[1], axis=1)
                dots[down, right] = ((at - (down, right)) * wide).sum(axis=-1)
        t = 6 * at**5 - 15 * at**4 + 10 * at**3
        left = dots[0, 0] + t[..., 0] * (dots[1, 0] - dots[0, 0])
        right = dots[0, 1] + t[..., 0] * (dots[1, 1] - dots[0, 1])
        return np.sqrt(2) * (left + t[..., 1] * (right - left))

    def mask(side: int, rng: np.random.Generator) -> np.ndarray:
        cells = (2 ** int(rng.integers(6)), 2 ** int(rng.integers(6)))
        noise = corners(rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1)), cells, side)
        turned = Image.fromarray(noise.astype(np.float32)).rotate(
            rng.uniform(-90, 90), Image.Resampling.BILINEAR
        )
        return np.asarray(turned) > 0.5

    return mask
