"""What a detector said of the test images, as `detector.predict` writes it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.metrics import image_scores


class Predicted(NamedTuple):
    """Maps float32 [N, H, W], a memory map, or None; an image score [N] each, and where that comes from."""

    maps: np.ndarray | None
    scores: np.ndarray
    rule: str


def predicted(folder: Path) -> Predicted:
    """The prediction in `folder`: the detector's own image scores, else the maxima of its maps."""
    maps = np.load(folder / "amaps.npy", mmap_mode="r") if (folder / "amaps.npy").exists() else None
    given = folder / "scores.npy"
    if given.exists():
        return Predicted(maps, np.load(given), "the detector's own image score")
    return Predicted(maps, image_scores(maps, "max"), "image score: maximum of the map")
