"""Depth and edge conditions of images (section 3.3), and their cache.

Both are made once for a category of a data set (`Generator.derive`, stage `generator.derive`) and shared by
all fits: `normal.edges.npy` and `real.edges.npy` uint8 [N, H, W], `normal.depth.npy` and `real.depth.npy`
float16 [N, H, W], nearness in 0..1 (0 is far; the data set's own depth may leave that range a little), and
`scale.json`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from bench.data.pool import Pool
from bench.errors import BenchError
from bench.methods import CategoryTrain
from bench.methods.context import Context
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.sources import DEPTH_ANYTHING, find_depth_anything, find_pidinet

BATCH = 8
CANNY_SHARE = 0.1
"""The strongest tenth of the gradients of normal images starts an edge by Canny; half of it goes on."""
CANNY_LEAST = 40
"""Sobel units below which nothing starts an edge: the noise of a camera on a flat surface."""
PIDINET_REACH = 64
"""PiDiNet pads each stage by zeros and so finds an edge along the border; images are continued beyond it."""
WINDOW = 518
"""The size at which Depth Anything V2 works."""


@dataclass(frozen=True)
class Views:
    """Images of one pool with their conditions, memory-mapped."""

    images: np.ndarray
    edges: np.ndarray
    depth: np.ndarray
    masks: np.ndarray | None
    defects: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def stack(self, row: int) -> np.ndarray:
        """float32 [5, H, W]: red, green, blue, depth, edges, each in 0..1."""
        colour = np.moveaxis(np.asarray(self.images[row], dtype=np.float32), 2, 0) / 255
        depth = np.asarray(self.depth[row], dtype=np.float32)[None]
        return np.concatenate([colour, depth, np.asarray(self.edges[row], dtype=np.float32)[None] / 255])

    def mask(self, row: int) -> np.ndarray:
        return np.asarray(self.masks[row]) if self.masks is not None else np.zeros(self.edges.shape[1:], bool)


@dataclass(frozen=True)
class DepthScale:
    """How the data set's depth becomes nearness: (far - z) / (far - near); None for estimated depth."""

    near: float
    far: float

    def nearness(self, depth: np.ndarray) -> np.ndarray:
        """float32; pixels without a measurement (0 or not finite) count as far."""
        is_measured = np.isfinite(depth) & (depth != 0)
        scaled = np.clip(
            (self.far - np.where(is_measured, depth, self.far)) / (self.far - self.near), -0.5, 1.5
        )
        return scaled.astype(np.float32)

    def metric(self, nearness: np.ndarray) -> np.ndarray:
        return (self.far - nearness * (self.far - self.near)).astype(np.float32)


class Networks:
    """What finds edges and depth of images; weights are read when they are first needed."""

    def __init__(self, params: AnomalyHybridParams, ctx: Context) -> None:
        self.params, self.weights, self.device = params, ctx.weights, ctx.device
        self._loaded: dict[str, Any] = {}

    def edges(self, images: np.ndarray, threshold: float) -> np.ndarray:
        """uint8 [N, H, W, 3] to uint8 [N, H, W]; `threshold` is Canny's."""
        if self.params.edges == "canny":
            return np.stack([canny(image, threshold) for image in images])
        from generators.anomalyhybrid.pidinet import finest_edges, load_pidinet

        if "edges" not in self._loaded:
            self._loaded["edges"] = load_pidinet(find_pidinet(self.weights))
        reach = min(PIDINET_REACH, images.shape[1] - 1)
        wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
        edges = finest_edges(self._loaded["edges"], wide, self.device)[:, reach:-reach, reach:-reach]
        return np.rint(edges * 255).astype(np.uint8)

    def depth(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] to estimated nearness float32 [N, H, W] in 0..1."""
        if self.params.depth == "shading":
            return shading(images)
        if "depth" not in self._loaded:
            folder = find_depth_anything(self.weights)
            if folder is None:
                raise BenchError(f"{DEPTH_ANYTHING} is not in the weights folder; put it there")
            self._loaded["depth"] = load_depth_anything(folder)
        return depth_anything(self._loaded["depth"], images, self.device)


def conditions_of(category: CategoryTrain, model: Path) -> Path:
    """Where the conditions of a category lie: with the data set, or in the model where a fit made its own."""
    return category.derived or model / "conditions" / category.name


def write_conditions(
    owner: str, params: AnomalyHybridParams, category: CategoryTrain, folder: Path, ctx: Context
) -> None:
    """Make edges and depth of all training images of a category."""
    networks = Networks(params, ctx)
    pools = {"normal": category.normal.pool, **real_pool(category)}
    done, total = 0, sum(len(pool) for pool in pools.values())
    scale = depth_scale(owner, category) if params.depth == "dataset" else None
    (folder / "scale.json").write_text(json.dumps(vars(scale) if scale else None))
    threshold = canny_threshold(category.normal.pool) if params.edges == "canny" else 0.0
    for name, pool in pools.items():
        edges = np.empty(pool.images.shape[:3], dtype=np.uint8)
        depth = np.empty(pool.images.shape[:3], dtype=np.float16)
        for start in range(0, len(pool), BATCH):
            part = slice(start, min(start + BATCH, len(pool)))
            images = np.asarray(pool.images[part])
            edges[part] = networks.edges(images, threshold)
            if scale is None:
                depth[part] = networks.depth(images)
            else:
                assert pool.depth is not None
                depth[part] = scale.nearness(np.asarray(pool.depth[part]))
            done += len(images)
            ctx.progress(done, total)
        np.save(folder / f"{name}.edges.npy", edges)
        np.save(folder / f"{name}.depth.npy", depth)


def real_pool(category: CategoryTrain) -> dict[str, Pool]:
    """{"real": the pool behind the category's real defects}, or nothing where it has none."""
    return {"real": next(iter(category.anomalies.values())).pool} if category.anomalies else {}


def open_views(category: CategoryTrain, folder: Path) -> dict[str, Views]:
    """ "normal" and, where the category has real defects, "real"; `folder` as `conditions_of` names it."""
    views = {}
    for name, pool in {"normal": category.normal.pool, **real_pool(category)}.items():
        edges = np.load(folder / f"{name}.edges.npy", mmap_mode="r")
        depth = np.load(folder / f"{name}.depth.npy", mmap_mode="r")
        views[name] = Views(pool.images, edges, depth, pool.masks, pool.defects)
    return views


def open_scale(folder: Path) -> DepthScale | None:
    values = json.loads((folder / "scale.json").read_text())
    return DepthScale(**values) if values else None


def depth_scale(owner: str, category: CategoryTrain) -> DepthScale:
    """Near and far of a category: all but a hundredth at each end of its normal images' measurements."""
    if any(pool.depth is None for pool in (category.normal.pool, *real_pool(category).values())):
        raise BenchError(
            f"'{owner}' is to take depth from the data set, and {category.name} has none; give data in the "
            f"MVTec 3D layout, or run anomalyhybrid with --set anomalyhybrid.depth=shading"
        )
    values = np.asarray(category.normal.pool.depth)[:64, ::2, ::2]
    measured = values[np.isfinite(values) & (values != 0)]
    if not measured.size:
        raise BenchError(f"the depth maps of {category.name} hold no measurement; check its xyz files")
    near, far = (float(value) for value in np.percentile(measured, (1, 99)))
    room = max(0.25 * (far - near), 1e-6)
    return DepthScale(near - room, far + room)


def canny_threshold(pool: Pool) -> float:
    """The gradient at which an edge may start: one for a category, so that a defect does not move it."""
    import cv2

    tops = []
    for image in np.asarray(pool.images[:16]):
        dx, dy = (cv2.Sobel(_smooth_grey(image), cv2.CV_32F, *axes) for axes in ((1, 0), (0, 1)))
        tops.append(np.quantile(np.hypot(dx, dy), 1 - CANNY_SHARE))
    return max(float(np.mean(tops)) if tops else 0.0, CANNY_LEAST)


def canny(image: np.ndarray, threshold: float) -> np.ndarray:
    """uint8 [H, W, 3] to 0 or 255, uint8 [H, W]."""
    import cv2

    return cv2.Canny(_smooth_grey(image), threshold / 2, threshold, L2gradient=True)


def _smooth_grey(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)


def shading(images: np.ndarray) -> np.ndarray:
    """Brightness taken for nearness ("dark is deep"), uint8 [N, H, W, 3] to float32 [N, H, W] in 0..1.

    Smoothed by a Gaussian of a 128th of the side, so that depth leaves the fine structure to the edges.
    """
    grey = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) / 255
    reach = grey.shape[1] / 128
    return ndimage.gaussian_filter(grey, (0, reach, reach), mode="nearest")


def load_depth_anything(folder: Path) -> Any:
    from transformers import AutoModelForDepthEstimation

    network = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True)
    return network.eval().requires_grad_(False)


def depth_anything(network: Any, images: np.ndarray, device: str) -> np.ndarray:
    """uint8 [N, H, W, 3] to nearness float32 [N, H, W], each image from 0 to 1 as the authors save it.

    Images are resized to 518 x 518 (bicubic) and normalised as the authors do; the map is resized back.
    """
    import torch
    from torch.nn import functional

    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        x = functional.interpolate(x, (WINDOW, WINDOW), mode="bicubic").clamp(0, 1)
        x = (x - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
        near = network.to(device)(pixel_values=x.to(device)).predicted_depth.float()
        near = functional.interpolate(near[:, None], images.shape[1:3], mode="bilinear")[:, 0].cpu().numpy()
    low, high = near.min(axis=(1, 2), keepdims=True), near.max(axis=(1, 2), keepdims=True)
    return (near - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
