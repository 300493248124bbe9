from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.data.pool import Pool
from bench.methods import Anomalies, CategoryTrain, Generator, Images, Request, Sample, TrainSplit
from bench.methods.context import Context

MakeSplit = Callable[..., TrainSplit]
Draw = Callable[..., list[Sample]]


@pytest.fixture
def make_split() -> MakeSplit:
    """A train split of one category "tile" from arrays: normal images, and per type (image, mask) pairs."""

    def make(
        normal: list[np.ndarray], real: dict[str, list[tuple[np.ndarray, np.ndarray]]] | None = None
    ) -> TrainSplit:
        side = (normal or [np.zeros((48, 48, 3), np.uint8)])[0].shape[0]
        good = Pool(
            np.array(normal, dtype=np.uint8).reshape(-1, side, side, 3),
            *(None, None, None),
            tuple({"defect": "good", "stem": str(i)} for i in range(len(normal))),
        )
        rows = [(defect, image, mask) for defect, pairs in (real or {}).items() for image, mask in pairs]
        pool = Pool(
            np.array([image for _, image, _ in rows], dtype=np.uint8).reshape(-1, side, side, 3),
            np.array([mask for *_, mask in rows], dtype=bool).reshape(-1, side, side),
            *(None, None),
            tuple({"defect": defect, "stem": str(i)} for i, (defect, *_) in enumerate(rows)),
        )
        anomalies = {defect: Anomalies(pool, pool.rows(defect)) for defect in real or {}}
        return TrainSplit({"tile": CategoryTrain("tile", Images(good), anomalies)}, side)

    return make


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Fit a generator on a split and take samples 0..count of a defect."""

    def sample(
        generator: type[Generator],
        data: TrainSplit,
        defect: str = "any",
        count: int = 8,
        *,
        category: str = "tile",
        weights: Path | None = None,
        **params: object,
    ) -> list[Sample]:
        context = Context(0, "generator.sample", generator.name, category, "cpu", tmp_path, weights)
        configured = generator.configure(None, params)
        configured.fit(data, tmp_path, context)
        return list(configured.sample(tmp_path, data, Request(category, defect, range(count)), context))

    return sample
