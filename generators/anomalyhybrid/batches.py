"""Training examples: conditions under different augmentations, and the images they are to become."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from generators.anomalyhybrid.augmentation import draw_pose, region_weight, training_grid, warp
from generators.anomalyhybrid.conditions import Views
from generators.anomalyhybrid.params import AnomalyHybridParams


class TrainingBatch(NamedTuple):
    """conditions [B, 5, H, W], colours in -1..1; for each decoder its content C_in and its target A_y."""

    conditions: Tensor
    contents: dict[str, Tensor]
    targets: dict[str, Tensor]


@dataclass(frozen=True)
class TrainingSet:
    """All images of a fit: normal ones and the real third, without their annotations."""

    categories: tuple[dict[str, Views], ...]
    rows: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """"normal" and "real" to (category, row) of each image."""

    @staticmethod
    def of(categories: list[dict[str, Views]], used: list[list[int]]) -> "TrainingSet":
        """`used`: for each category, the rows of its real defects that belong to this fit."""
        normal = [(c, row) for c, views in enumerate(categories) for row in range(len(views["normal"]))]
        real = [(c, row) for c, rows in enumerate(used) for row in rows]
        return TrainingSet(tuple(categories), {"normal": normal, "real": real})

    def __len__(self) -> int:
        return len(self.rows["normal"]) + len(self.rows["real"])

    def draw(self, params: AnomalyHybridParams, star: bool, rng: np.random.Generator) -> TrainingBatch:
        """One batch, a function of `rng` alone."""
        examples = [self._one(params, rng) for _ in range(params.batch_size)]
        stacks = torch.from_numpy(np.stack([stack for stack, *_ in examples]))  # (B, 5, H, W)
        swapped = torch.from_numpy(np.stack([colour for _, colour, _ in examples]))  # (B, 3, H, W)
        r, d, e = torch.from_numpy(np.stack([grids for *_, grids in examples])).unbind(dim=1)
        if star:
            return _star_examples(stacks, r, d, e)
        conditions = torch.cat(
            [warp(swapped, r) * 2 - 1, warp(stacks[:, 3:4], d), warp(stacks[:, 4:5], e)], dim=1
        )
        colour = stacks[:, :3] * 2 - 1
        return TrainingBatch(
            conditions,
            dict.fromkeys(("ahd", "ahe"), conditions[:, :3]),
            {"ahd": warp(colour, d), "ahe": warp(colour, e)},
        )

    def _one(
        self, params: AnomalyHybridParams, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A stack [5, H, W], its colour with a part of another image, the grids of r, d, e [3, H, W, 2]."""
        real, normal = self.rows["real"], self.rows["normal"]
        share = len(real) / len(self) if params.defect_share is None else params.defect_share
        rows = real if real and (not normal or rng.random() < share) else normal
        category, row = rows[rng.integers(len(rows))]
        views = self.categories[category]
        stack = views["normal" if rows is normal else "real"].stack(row)
        side = stack.shape[1]
        poses = [draw_pose(params, rng) for _ in range(3)]
        if rng.random() < params.together:
            poses = [poses[0]] * 3
        grids = np.stack([training_grid(params, pose, side, rng) for pose in poses])
        if rng.random() < params.paired:
            grids[2] = grids[1]
        colour = stack[:3]
        weight, swaps = region_weight(side, rng), rng.random() < params.swap
        other = int(rng.integers(len(views["normal"]))) if len(views["normal"]) else None
        if swaps and other is not None:
            colour = colour + weight * (views["normal"].stack(other)[:3] - colour)
        return stack, colour, grids


def _star_examples(stacks: Tensor, r: Tensor, d: Tensor, e: Tensor) -> TrainingBatch:
    """Fig. 4b: depth and edges of the target image, referring to depth and edges in other augmentations."""
    colour, depth, edges = stacks[:, :3] * 2 - 1, stacks[:, 3:4], stacks[:, 4:5]
    conditions = torch.cat([warp(colour, r), warp(depth, d), warp(edges, e)], dim=1)
    return TrainingBatch(
        conditions,
        {"ahd": conditions[:, 3:4] * 2 - 1, "ahe": conditions[:, 4:5] * 2 - 1},
        {"ahd": warp(depth, r) * 2 - 1, "ahe": warp(edges, r) * 2 - 1},
    )
