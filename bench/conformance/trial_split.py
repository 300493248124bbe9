"""A small train split for conformance checks: two categories, two defect types each, with depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.data.pool import PoolWriter, open_pool
from bench.methods import Anomalies, CategoryTrain, Images, TrainSplit
from bench.streams import stream

CATEGORIES = {"plate": ("hole", "stain"), "weave": ("cut", "stain")}
NORMAL, REAL = 6, 3
"""Images a category, and real defects a type; the last real defect of each category has an empty mask."""


def trial_split(folder: Path, resolution: int = 64) -> TrainSplit:
    """Render the split into `folder`; the same bytes each time."""
    return TrainSplit({name: _category(folder / name, name, resolution) for name in CATEGORIES}, resolution)


def part_of(data: TrainSplit, scope: str, category: str, defect: str) -> TrainSplit:
    """What a generator of this scope is given when it is to learn `defect` of `category`."""
    if scope == "dataset":
        return data
    whole = data.categories[category]
    if scope == "category" or defect not in whole.anomalies:
        return TrainSplit({category: whole}, data.resolution)
    one = replace(whole, anomalies={defect: whole.anomalies[defect]})
    return TrainSplit({category: one}, data.resolution)


def _category(folder: Path, name: str, side: int) -> CategoryTrain:
    rng = stream("conformance", name)
    (folder / "normal").mkdir(parents=True, exist_ok=True)
    (folder / "real").mkdir(exist_ok=True)
    normal = PoolWriter(folder / "normal", NORMAL, side, fields=("depth",))
    for row in range(NORMAL):
        image, depth = _product(name, side, rng)
        normal.add({"defect": "good", "stem": f"{row:03d}"}, image, depth=depth)
    normal.close()
    types = CATEGORIES[name]
    real = PoolWriter(folder / "real", REAL * len(types), side, fields=("masks", "depth"))
    for number, defect in enumerate(types):
        for row in range(REAL):
            image, depth = _product(name, side, rng)
            mask = _region(side, rng)
            image[mask] = (20, 20, 25) if number == 0 else (150, 90, 40)
            depth[mask] += np.float32(0.2)
            if number == 1 and row == REAL - 1:
                mask[:] = False
            real.add({"defect": defect, "stem": f"{row:03d}"}, image, masks=mask, depth=depth)
    real.close()
    pool = open_pool(folder / "real")
    anomalies = {defect: Anomalies(pool, pool.rows(defect)) for defect in types}
    return CategoryTrain(name, Images(open_pool(folder / "normal")), anomalies)


def _product(name: str, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:side, :side] / side
    if name == "plate":
        centre = 0.5 + rng.uniform(-0.03, 0.03, size=2)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 0.16
        grey = np.where(inside, 170.0 + 30 * x, 40.0)
        depth = np.where(inside, 0.3, 0.8)
    else:
        phase = rng.uniform(0, 2 * np.pi)
        grey = 120 + 40 * np.sin(2 * np.pi * 8 * x + phase) * np.sin(2 * np.pi * 8 * y)
        depth = 0.5 + grey / 2550
    noisy = grey[..., None] + rng.normal(0, 4, size=(side, side, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), depth.astype(np.float32)


def _region(side: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    centre, radii = rng.uniform(0.3, 0.7, size=2), rng.uniform(0.05, 0.12, size=2)
    return ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
