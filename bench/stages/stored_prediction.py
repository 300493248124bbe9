"""What a detector answered to the test images, as `detector.predict` writes it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.metrics import image_scores


class StoredPrediction(NamedTuple):
    """The maps and image scores of one detector on one category."""

    maps: np.ndarray | None
    """float32 [N, H, W], a memory map; None where the detector gives none."""
    scores: np.ndarray
    """One score per image, [N]."""
    rule: str
    """Where the scores come from, in words."""


def read_prediction(folder: Path) -> StoredPrediction:
    """The prediction in `folder`: the detector's own image scores, else the maxima of its maps."""
    maps = np.load(folder / "amaps.npy", mmap_mode="r") if (folder / "amaps.npy").exists() else None
    if (folder / "scores.npy").exists():
        return StoredPrediction(maps, np.load(folder / "scores.npy"), "the detector's own image score")
    return StoredPrediction(maps, image_scores(maps, "max"), "image score: maximum of the map")
