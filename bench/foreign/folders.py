"""What a foreign method sees: folders of PNGs, written once a task."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.pool import Pool
from bench.methods import Batch, DetectorSplit, TrainSplit
from bench.store.store import write_atomically

_WRITTEN = "split.json"


def write_train_split(folder: Path, data: TrainSplit) -> None:
    """The training side of some categories; a folder that is whole is left as it is."""
    if (folder / _WRITTEN).exists():
        return
    counts: dict[str, dict[str, int]] = {}
    for name, category in data.categories.items():
        for row, image in enumerate(category.normal):
            _image(folder / name / "train" / "good" / f"{row:04d}.png", image)
        for defect, anomalies in category.anomalies.items():
            for row, anomaly in enumerate(anomalies):
                _pair(folder / name / "real" / defect, row, anomaly.image, anomaly.mask)
                if anomaly.depth is not None:
                    _depth(folder / name / "real" / defect / "depth" / f"{row:04d}.tiff", anomaly.depth)
        counts[name] = {defect: len(anomalies) for defect, anomalies in category.anomalies.items()}
    _finish(folder, data.resolution, counts)


def write_detector_split(folder: Path, data: DetectorSplit) -> None:
    """What a detector is trained on: normal images, and real and generated pairs."""
    if (folder / _WRITTEN).exists():
        return
    counts: dict[str, dict[str, int]] = {}
    for name, pool in data.normal.items():
        for row, image in enumerate(pool.images):
            _image(folder / name / "train" / "good" / f"{row:04d}.png", np.asarray(image))
        counts[name] = {}
    for part, pools in (("real", data.real), ("generated", data.generated)):
        for name, pool in pools.items():
            for defect, count in _write_pairs(folder / name / part, pool).items():
                counts[name][defect] = counts[name].get(defect, 0) + count
    _finish(folder, data.resolution, counts)


def write_images(folder: Path, images: Iterable[Batch]) -> int:
    """The images to judge, as 0000.png, 0001.png, …; returns how many."""
    count = 0
    for batch in images:
        for image in batch.images:
            _image(folder / f"{count:04d}.png", image)
            count += 1
    return count


def _write_pairs(folder: Path, pool: Pool) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row, defect in enumerate(pool.defects):
        index = counts.get(defect, 0)
        _pair(folder / defect, index, np.asarray(pool.images[row]), np.asarray(pool.mask(row)))
        counts[defect] = index + 1
    return counts


def _pair(folder: Path, row: int, image: np.ndarray, mask: np.ndarray) -> None:
    _image(folder / "image" / f"{row:04d}.png", image)
    _image(folder / "mask" / f"{row:04d}.png", mask.astype(np.uint8) * 255)


def _image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compress_level=1)


def _depth(path: Path, depth: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(depth).save(path)


def _finish(folder: Path, resolution: int, counts: dict[str, dict[str, int]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _WRITTEN, json.dumps({"resolution": resolution, "categories": counts}))
