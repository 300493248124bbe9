"""Fitting: the patches of all normal images, and the few of them that are remembered."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.methods import DetectorSplit
from bench.methods.context import Context
from bench.methods.training import Checkpoints, TrainingFailed, deterministic
from detectors.backbones.backbone import Backbone, pretrained
from detectors.patchcore.coreset import Selection, begin, begin_at, mean_distances, select
from detectors.patchcore.params import PatchCoreParams
from detectors.patchcore.scoring import patch_vectors

STARTS = 10
DENSE = 128
"""Length of the released code's projection."""
EPSILON = 0.9
"""Distortion of anomalib's projection."""


def remember(params: PatchCoreParams, data: DetectorSplit, out: Path, ctx: Context) -> None:
    """Write the model folder `out` from the normal images of `data`."""
    images = sum(len(pool) for pool in data.normal.values())
    if not images:
        raise TrainingFailed("'patchcore' has no normal image to learn from; give it a pool of normal images")
    out.mkdir(parents=True, exist_ok=True)
    with deterministic(ctx.device), torch.inference_mode():
        with ctx.torch_stream("init"):
            backbone = pretrained(params.backbone, params.layers, params.backbone_weights, ctx.weights)
        backbone.to(torch.device(ctx.device)).to(memory_format=torch.channels_last)
        save_file(backbone.used_state(data.resolution), out / "backbone.safetensors")
        patches = _embedded(params, backbone, data, images, ctx)
        size = len(patches) if params.coreset == "none" else int(len(patches) * params.coreset_share)
        if not size:
            raise TrainingFailed(
                f"a share of {params.coreset_share} of {len(patches)} patches is none; raise coreset_share"
            )
        chosen = _chosen(params, patches, size, images, ctx)
        np.save(out / "memory.npy", patches[chosen])
    (out / "params.json").write_text(params.model_dump_json(indent=1))
    counts = {"images": images, "patches": len(patches), "remembered": len(chosen)}
    (out / "memory.json").write_text(json.dumps(counts, indent=1))


def _embedded(
    params: PatchCoreParams, backbone: Backbone, data: DetectorSplit, images: int, ctx: Context
) -> np.ndarray:
    """Vectors float32 [images x patches, D], in a file of the scratch folder; goes on where it was left."""
    path, state = ctx.scratch / "patches.npy", ctx.scratch / "patches.json"
    done = json.loads(state.read_text())["images"] if state.exists() else 0
    vectors = np.load(path, mmap_mode="r+") if done else None
    rows = [(pool, row) for pool in data.normal.values() for row in range(len(pool))]

    def save() -> None:
        assert vectors is not None
        vectors.flush()
        state.with_suffix(".part").write_text(json.dumps({"images": done}))
        state.with_suffix(".part").replace(state)

    checkpoints = Checkpoints("patchcore", ctx, save)
    while done < images:
        batch = np.stack([pool.images[row] for pool, row in rows[done : done + params.batch_size]])
        new, _ = patch_vectors(params, backbone, batch, ctx.device)
        per_image, width = new.shape[1:]
        if vectors is None:
            shape = (images * per_image, width)
            vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        vectors[done * per_image : (done + len(batch)) * per_image] = new.flatten(0, 1).cpu().numpy()
        done += len(batch)
        checkpoints.after(done, images + _size(params, len(vectors)), "patches")
    assert vectors is not None
    save()
    return vectors


def _size(params: PatchCoreParams, patches: int) -> int:
    return patches if params.coreset == "none" else int(patches * params.coreset_share)


def _chosen(params: PatchCoreParams, patches: np.ndarray, size: int, images: int, ctx: Context) -> np.ndarray:
    """Rows of the patches that are remembered, in the order of their choice."""
    if params.coreset == "none":
        return np.arange(size)
    features = projected(params, patches, ctx)
    path = ctx.scratch / "coreset.npz"
    selection = _load(path) if path.exists() else started(params, features, size, ctx)
    checkpoints = Checkpoints("patchcore", ctx, lambda: _save(path, selection))

    def progress(done: int, total: int) -> None:
        checkpoints.after(images + done, images + total, "memory")

    return select(features, selection, progress)


def projected(params: PatchCoreParams, patches: np.ndarray, ctx: Context) -> Tensor:
    """What distances are measured in while patches are chosen, float32 (N, 128 or so)."""
    width, rng = patches.shape[1], ctx.rng("projection")
    if params.coreset == "amazon" and width == DENSE:
        return torch.from_numpy(np.array(patches)).to(ctx.device)
    matrix = dense(rng, width) if params.coreset == "amazon" else sparse(rng, width, len(patches))
    by = torch.from_numpy(np.ascontiguousarray(matrix)).to(ctx.device)
    features = torch.empty((len(patches), by.shape[1]), device=ctx.device)
    for start in range(0, len(patches), 8192):
        part = torch.from_numpy(np.array(patches[start : start + 8192])).to(ctx.device)
        torch.mm(part, by, out=features[start : start + 8192])
    return features


def started(params: PatchCoreParams, features: Tensor, size: int, ctx: Context) -> Selection:
    """A selection before its first (anomalib: second) choice."""
    rng = ctx.rng("start")
    if params.coreset == "anomalib":
        return begin_at(int(rng.integers(len(features))), len(features), size)
    starts = rng.choice(len(features), min(STARTS, len(features)), replace=False)
    return begin(mean_distances(features, starts), size)


def _save(path: Path, selection: Selection) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            bounds=selection.bounds,
            seen=selection.covered,
            chosen=selection.chosen,
            count=selection.count,
        )
    part.replace(path)


def _load(path: Path) -> Selection:
    with np.load(path) as arrays:
        return Selection(arrays["bounds"], arrays["seen"], arrays["chosen"], int(arrays["count"]))


def dense(rng: np.random.Generator, width: int) -> np.ndarray:
    """float32 [width, 128], as torch initialises a linear layer; the released code's projection."""
    reach = 1 / math.sqrt(width)
    return rng.uniform(-reach, reach, (DENSE, width)).astype(np.float32).T


def sparse(rng: np.random.Generator, width: int, points: int) -> np.ndarray:
    """float32 [width, length]: anomalib's projection (Li, Hastie & Church, KDD 2006).

    A value is 0 but for a share 1 / sqrt(width) of them, which are +-width^(1/4) / sqrt(length). The length
    is that of the Johnson-Lindenstrauss lemma for `points` points and a distortion of 0.9.
    """
    length = int(4 * math.log(points) / (EPSILON**2 / 2 - EPSILON**3 / 3))
    share = 1 / math.sqrt(width)
    signs = rng.integers(2, size=(length, width)) * 2 - 1
    is_used = rng.random((length, width)) < share
    return (signs * is_used * (1 / math.sqrt(share * length))).astype(np.float32).T
