"""Stages of depth: depth as images that detectors of colour images can take, and the mean of two answers.

Normalisation: near and far are the 0.1st and 99.9th percentile of the measured depth of train/good of the
category, a tenth of their distance added at either end for what a defect puts there. Between them depth falls
linearly from 255 (near) to 1 (far), clipped, in three equal channels; 0 is a pixel without a measurement.
AnomalyHybrid (4.3) says no more than that it trains on depth images; per-image ranges, as depth estimators
write them, would let one deep hole change every pixel of its image.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.pool import Pool, PoolWriter, open_pool
from bench.errors import BenchError
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task

_TAILS = (0.1, 99.9)
_MARGIN = 0.1
_SAMPLED = 5_000_000
"""Depth values that the percentiles are taken of at most, evenly spaced."""


@dataclass(frozen=True)
class DepthImages(Stage[T]):
    """A pool of the depth of another: grey images, the same masks and items; near and far in range.json."""

    name, version = "data.depth_images", 1
    pool: T
    normal: T

    @staticmethod
    def task(category: str, pool: Task, normal: Task) -> Task:
        """The depth of a pool as grey images, in the range that the depth of train/good spans."""
        return DepthImages(pool=pool, normal=normal).to_task({"category": category})

    def run(self: "DepthImages[Output]", run: StageRun) -> None:
        pool, normal = open_pool(self.pool.folder), open_pool(self.normal.folder)
        depth, reference = _depth(pool, run), _depth(normal, run)
        near, far = depth_range(reference)
        masked = pool.masks is not None
        writer = PoolWriter(run.out, len(pool), pool.images.shape[1], fields=("masks",) * masked)
        for row, item in enumerate(pool.items):
            values = {"masks": pool.mask(row)} if masked else {}
            writer.add(item, depth_image(np.asarray(depth[row]), near, far), **values)
            run.context.progress(row + 1, len(pool))
        writer.close()
        (run.out / "range.json").write_text(json.dumps({"near": near, "far": far}))


def depth_range(depth: np.ndarray) -> tuple[float, float]:
    """Near and far of depth float32 [N, H, W] in which 0 is no measurement. BenchError where all are 0."""
    flat = depth.reshape(-1)[:: max(depth.size // _SAMPLED, 1)]
    measured = flat[flat != 0].astype(np.float64)
    if not measured.size:
        raise BenchError("the depth maps of train/good hold no measurement; run with --set modalities=rgb")
    near, far = (float(value) for value in np.percentile(measured, _TAILS))
    margin = _MARGIN * (far - near)
    return near - margin, far + margin


def depth_image(depth: np.ndarray, near: float, far: float) -> np.ndarray:
    """Depth float32 [H, W] as uint8 [H, W, 3]: 255 near, 1 far, 0 where nothing was measured."""
    height = (far - depth.astype(np.float64)) / max(far - near, 1e-12)
    grey = np.rint(1 + 254 * np.clip(height, 0, 1)).astype(np.uint8)
    grey[depth == 0] = 0
    return np.repeat(grey[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class DetectorFuse(Stage[T]):
    """The mean of two detectors' maps and scores (AnomalyHybrid, Table 4, rows "+"), as one prediction.

    A plain mean, as published: it takes both to be on one scale, which probabilities are.
    """

    name, version = "detector.fuse", 1
    payload = "predictions"
    colour: T
    depth: T

    @staticmethod
    def task(colour: Task, depth: Task) -> Task:
        """The mean of what one detector predicts for colour images and, trained anew, for depth."""
        return DetectorFuse(colour=colour, depth=depth).to_task({"category": colour.params["category"]})

    def run(self: "DetectorFuse[Output]", run: StageRun) -> None:
        folders = [self.colour.folder, self.depth.folder]
        written = [_write_mean(name, folders, run.out) for name in ("amaps.npy", "scores.npy")]
        if not any(written):
            raise BenchError("there is neither a map nor a score on both sides, so nothing can be fused")


def _write_mean(name: str, folders: list[Path], out: Path) -> bool:
    paths = [folder / name for folder in folders]
    if not all(path.exists() for path in paths):
        return False
    one, other = (np.load(path, mmap_mode="r", allow_pickle=False) for path in paths)
    mean = np.lib.format.open_memmap(out / name, mode="w+", dtype=np.float32, shape=one.shape)
    for row in range(len(one)):
        mean[row] = (one[row] + other[row]) / 2
    mean.flush()
    return True


def _depth(pool: Pool, run: StageRun) -> np.ndarray:
    if pool.depth is None:
        raise BenchError(f"images of {run.params['category']} have no depth; run with --set modalities=rgb")
    return pool.depth
