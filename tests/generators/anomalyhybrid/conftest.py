from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.conformance.trial_split import trial_split
from bench.methods import TrainSplit
from bench.methods.context import Context

SIDE = 64
ContextFor = Callable[..., Context]


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> TrainSplit:
    """Two small categories with depth, six normal images and two defect types each."""
    return trial_split(tmp_path_factory.mktemp("split"), SIDE)


@pytest.fixture
def context_for(tmp_path: Path) -> ContextFor:
    """A context with a scratch folder of this test's own, kept between calls of one name."""

    def make(stage: str = "generator.fit", scratch: str = "scratch", **more: object) -> Context:
        folder = tmp_path / scratch
        folder.mkdir(exist_ok=True)
        return Context(0, stage, "anomalyhybrid", "", "cpu", folder, **more)

    return make


@pytest.fixture
def picture() -> np.ndarray:
    """A photograph-like image, uint8 [64, 64, 3]: a bright disc with a dark cut on a shaded ground."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    grey = 60 + 60 * x
    grey[(y - 0.5) ** 2 + (x - 0.5) ** 2 < 0.12] = 200
    grey[30:33, 20:44] = 30
    rng = np.random.default_rng(0)
    return np.clip(grey[..., None] + rng.normal(0, 2, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
