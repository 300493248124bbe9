"""A small split for conformance checks of detectors: plain shapes with blobs as defects, RGB and depth."""

import numpy as np

from bench.data.pool import Pool
from bench.methods import DetectorSplit

CATEGORIES = {"disc": ("bright", "dark"), "stripe": ("bright", "line")}
_NORMALS, _PER_TYPE = 6, 3


def blob_split(resolution: int, seed: int = 0, pseudo: float = 0.0) -> DetectorSplit:
    """Two categories: 6 normals per category, 3 reals and 3 generated per defect type.

    Half of a batch is normal. Of the other half the share `pseudo` is left to the detector, and the rest is
    real and generated in equal parts.
    """
    rng = np.random.Generator(np.random.PCG64([seed, resolution]))
    pools: dict[str, dict[str, Pool]] = {"normal": {}, "real": {}, "generated": {}}
    for category, defects in CATEGORIES.items():
        pools["normal"][category] = _pool(rng, category, ("good",) * _NORMALS, resolution)
        repeated = tuple(defect for defect in defects for _ in range(_PER_TYPE))
        for name in ("real", "generated"):
            pools[name][category] = _pool(rng, category, repeated, resolution)
    classes = tuple(
        sorted((category, defect) for category, defects in CATEGORIES.items() for defect in defects)
    )
    anomalous = (0.5 - pseudo) / 2
    shares = {
        "normal": 0.5,
        "generated": anomalous,
        "real": anomalous,
        **({"pseudo": pseudo} if pseudo else {}),
    }
    return DetectorSplit(
        tuple(CATEGORIES), classes, resolution, pools["normal"], pools["real"], pools["generated"], shares
    )


def _pool(rng: np.random.Generator, category: str, defects: tuple[str, ...], side: int) -> Pool:
    y, x = np.mgrid[:side, :side] / side
    images = np.empty((len(defects), side, side, 3), np.uint8)
    masks = np.zeros((len(defects), side, side), np.bool_)
    depth = np.empty((len(defects), side, side), np.float32)
    for row, defect in enumerate(defects):
        part = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.16 if category == "disc" else (x * 8).astype(int) % 2 == 0
        grey = np.where(part, 140.0, 70.0) + rng.normal(0, 6, (side, side))
        height = part.astype(np.float32)
        if defect != "good":
            cy, cx = rng.uniform(0.25, 0.75, size=2)
            reach = (abs(x - cx) < 0.3) & (abs(y - cy) < 0.04) if defect == "line" else None
            blob = (x - cx) ** 2 + (y - cy) ** 2 < rng.uniform(0.08, 0.14) ** 2 if reach is None else reach
            grey[blob] = 15 if defect == "dark" else 235
            height[blob] -= 0.5
            masks[row] = blob
        images[row] = np.clip(grey, 0, 255).astype(np.uint8)[..., None]
        depth[row] = height
    items = tuple({"defect": defect, "stem": f"{row:03}"} for row, defect in enumerate(defects))
    return Pool(images, None if set(defects) == {"good"} else masks, depth, None, items)
