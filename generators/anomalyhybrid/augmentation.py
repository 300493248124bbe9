"""The augmentations of section 3.4: local thin-plate splines, resize-translation-padding and mirroring.

An augmentation is a sampling grid: for each pixel of the result, where in the source it is taken from, in
the coordinates of `grid_sample` (x, y in -1..1). So the same one can be applied to an image and to its maps.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.anomalyhybrid.params import AnomalyHybridParams

COARSE = 4
"""Splines are evaluated at every fourth pixel and interpolated between."""
REGION = (0.2, 0.45)
"""Least and largest half side of the region that a local spline bends, 1 being half the image."""
SCALES = (0.7, 1.4)
SHIFT = 0.3


class ConditionPose(NamedTuple):
    """Mirroring and resize-translation: source = (p * flip - shift) / scale."""

    flip: np.ndarray
    shift: np.ndarray
    scale: float


def draw_pose(params: AnomalyHybridParams, rng: np.random.Generator) -> ConditionPose:
    flip = np.where(rng.random(2) < params.flip, -1.0, 1.0)
    resized = rng.random() < params.resize
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    shift = rng.uniform(-SHIFT, SHIFT, size=2)
    return ConditionPose(flip, shift if resized else np.zeros(2), scale if resized else 1.0)


def training_grid(
    params: AnomalyHybridParams, pose: ConditionPose, side: int, rng: np.random.Generator
) -> np.ndarray:
    """One condition's augmentation: a pose, then a local spline with its probability; float32 [H, W, 2]."""
    grid = identity_grid(side) * pose.flip
    grid = (grid - pose.shift) / pose.scale
    bent, half, centre = rng.random() < params.tps, rng.uniform(*REGION), rng.uniform(-0.8, 0.8, size=2)
    moves = rng.uniform(-1, 1, size=(9, 2)) * params.tps_shift * half
    return (grid + (local_spline(side, centre, half, moves) if bent else 0)).astype(np.float32)


def identity_grid(side: int) -> np.ndarray:
    centres = (np.arange(side, dtype=np.float32) * 2 + 1) / side - 1
    return np.stack(np.meshgrid(centres, centres), axis=2)


def local_spline(side: int, centre: np.ndarray, half: float, moves: np.ndarray) -> np.ndarray:
    """Displacements float32 [H, W, 2] of a thin-plate spline with 3x3 control points in one square.

    Duchon's spline (Donato and Belongie 2002, section 2) through `moves` [9, 2] at the control points,
    faded to nothing between the square's border and half its side beyond, so that it stays local.
    """
    ticks = np.linspace(-1, 1, 3)
    points = np.stack(np.meshgrid(ticks, ticks), axis=2).reshape(9, 2)  # in units of `half`
    system = np.zeros((12, 12))
    system[:9, :9] = _radial(points, points)
    system[:9, 9:] = system[9:, :9].T
    system[:9, 9], system[:9, 10:] = 1, points
    system[9, :9], system[10:, :9] = 1, points.T
    weights = np.linalg.solve(system, np.concatenate([moves, np.zeros((3, 2))]))
    coarse = max(2, side // COARSE)
    local = (identity_grid(coarse).reshape(-1, 2) - centre) / half
    basis = np.concatenate([_radial(local, points), np.ones((len(local), 1)), local], axis=1)
    fade = np.clip(2 - np.abs(local).max(axis=1) * 2 + 1, 0, 1)
    field = ((basis @ weights) * (fade * fade * (3 - 2 * fade))[:, None]).reshape(coarse, coarse, 2)
    smooth = torch.from_numpy(field).permute(2, 0, 1)[None]
    return F.interpolate(smooth, (side, side), mode="bilinear")[0].permute(1, 2, 0).numpy()


def _radial(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return squared * np.log(np.maximum(squared, 1e-12))


def warp(maps: Tensor, grids: Tensor) -> Tensor:
    """[B, C, H, W] sampled at grids [B, H, W, 2]; what lies outside is the reflection (the padding)."""
    return F.grid_sample(maps, grids, mode="bilinear", padding_mode="reflection", align_corners=False)


def region_weight(side: int, rng: np.random.Generator) -> np.ndarray:
    """A random soft blob, float32 [H, W] in 0..1: what `swap` takes from another image."""
    y, x = identity_grid(side)[..., 1], identity_grid(side)[..., 0]
    centre, radius = rng.uniform(-0.8, 0.8, size=2), np.exp(rng.uniform(np.log(0.12), np.log(0.7)))
    stretch, angle = np.exp(rng.uniform(-0.9, 0.9)), rng.uniform(0, np.pi)
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    turn = np.arctan2(v, u)
    lobes = 1 + 0.25 * np.sin(2 * turn + rng.uniform(0, 6.3)) + 0.15 * np.sin(3 * turn + rng.uniform(0, 6.3))
    distance = np.hypot(u * stretch, v / stretch) / (radius * lobes)
    return np.clip((1 - distance) * radius * side / 4, 0, 1).astype(np.float32)
