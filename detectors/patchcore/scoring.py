"""Scores and maps: how far the patches of an image lie from the memory of normal ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.methods import Batch, Prediction
from bench.methods.context import Context
from detectors.backbones.backbone import Backbone, stored, to_input
from detectors.backbones.patches import embed, image_maps
from detectors.patchcore.neighbours import Memory
from detectors.patchcore.params import PatchCoreParams


def score(
    params: PatchCoreParams, model: Path, images: Iterable[Batch], ctx: Context
) -> Iterator[Prediction]:
    """The predictions of the model in the folder `model`, one per batch, in order."""
    with ctx.torch_stream("unused"):  # building a network draws initial weights
        backbone = stored(params.backbone, params.layers, model / "backbone.safetensors")
    backbone.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
    memory = Memory(torch.from_numpy(np.load(model / "memory.npy")).to(ctx.device))
    for batch in images:
        with torch.inference_mode():
            vectors, shape = patch_vectors(params, backbone, batch.images, ctx.device)
            scores, patches = patch_scores(params, memory, vectors)
            side = batch.images.shape[1]
            amap = image_maps(patches.unflatten(1, shape), side, params.upsampling, params.sigma)
        yield Prediction(score=scores.cpu().numpy(), amap=amap.cpu().numpy())


def patch_vectors(
    params: PatchCoreParams, backbone: Backbone, images: np.ndarray, device: str
) -> tuple[Tensor, tuple[int, int]]:
    """Vectors float32 (B, h w, D) of images uint8 [B, H, W, 3], and (h, w)."""
    x = to_input(images, device)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=params.precision == "bf16"):
        maps = backbone(x)
    height, width = maps[0].shape[-2:]
    return embed(maps, params.embedding, params.dimension), (height, width)


def patch_scores(params: PatchCoreParams, memory: Memory, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Scores float32 (B,) of images and distances (B, P) of their patches, of vectors (B, P, D)."""
    count = min(params.k, len(memory))
    squared, rows = memory.nearest(vectors.flatten(0, 1), count)
    squared, rows = (t.unflatten(0, vectors.shape[:2]) for t in (squared, rows))  # (B, P, k)
    distances = squared if params.distance == "squared" else squared.sqrt()
    patches = distances.mean(dim=2)
    scores, farthest = patches.max(dim=1)
    if params.reweighting is None:
        return scores, patches
    images = torch.arange(len(vectors), device=vectors.device)
    query = vectors[images, farthest]  # (B, D)
    nearest = memory.vectors[rows[images, farthest, 0]]
    return scores * _certainty(memory, query, nearest, params.reweighting), patches


def _certainty(memory: Memory, query: Tensor, nearest: Tensor, neighbours: int) -> Tensor:
    """The weight of equation 7, (B,): one less the softmax, over the neighbours of the nearest memory, of
    their distances to the patch, taken at the nearest memory itself, which is the first of its neighbours."""
    _, around = memory.nearest(nearest, min(neighbours, len(memory)))
    distances = (query[:, None] - memory.vectors[around]).square().sum(dim=2).sqrt()
    return 1 - torch.softmax(distances, dim=1)[:, 0]
