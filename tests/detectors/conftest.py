"""A rendered split of easy defects, and contexts with a scratch folder of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.adapters import DetectorSplit
from bench.conformance.detector import blob_split
from bench.context import Context


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
