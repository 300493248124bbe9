"""What one product is learned from: its images in all poses, as latents, and which of them a step draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods import CategoryTrain
from bench.methods.context import Context
from bench.streams import stream
from generators.seas.params import SeaSParams

if TYPE_CHECKING:
    from numpy.random import Generator

TURNS, MIRRORS = 4, 3
"""Quarter turns, and none, left to right or top to bottom."""


class Pose(NamedTuple):
    """One image in one pose: `kind` is the number of its defect type, -1 for a normal image."""

    kind: int
    row: int
    turn: int
    mirror: int


@dataclass(frozen=True)
class Material:
    """The images of one product: `abnormal[kind]` are rows of the type, `normal` rows of train/good."""

    category: CategoryTrain
    types: tuple[str, ...]
    abnormal: tuple[tuple[int, ...], ...]
    normal: tuple[int, ...]
    side: int

    @property
    def stream(self) -> str:
        """A name for the random streams of what is learned from these images."""
        return "/".join([self.category.name, *self.types])

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(kind, row) of all abnormal images, the unified set X_df."""
        return [(kind, row) for kind, rows in enumerate(self.abnormal) for row in rows]

    def image(self, pose: Pose) -> np.ndarray:
        """uint8 [side, side, 3], in its pose."""
        if pose.kind < 0:
            image = self.category.normal[pose.row]
        else:
            image = self.category.anomalies[self.types[pose.kind]][pose.row].image
        return posed(image, pose)

    def mask(self, pose: Pose) -> np.ndarray:
        """bool [side, side], in its pose; all false for normal images."""
        if pose.kind < 0:
            return np.zeros((self.side, self.side), dtype=bool)
        mask = self.category.anomalies[self.types[pose.kind]][pose.row].mask
        return posed(mask, pose)


def posed(pixels: np.ndarray, pose: Pose) -> np.ndarray:
    """Turned by quarter turns, then mirrored."""
    turned = np.rot90(pixels, pose.turn)
    return np.ascontiguousarray({0: turned, 1: turned[:, ::-1], 2: turned[::-1]}[pose.mirror])


def choose_normals(category: CategoryTrain, params: SeaSParams, ctx: Context, owner: str) -> list[int]:
    """Rows of the normal images X_ob that a product is learned from. BenchError where there are none."""
    if not len(category.normal):
        raise BenchError(
            f"'{owner}' learns from normal images, and train/good of '{category.name}' is empty; add some"
        )
    listing = params.normal_order == "listing"
    rng = stream(owner, "listing", category.name) if listing else ctx.rng(f"normals/{category.name}")
    return [int(row) for row in rng.permutation(len(category.normal))[: params.normals]]


def gather(
    category: CategoryTrain, types: Sequence[str], normal: Sequence[int], params: SeaSParams, owner: str
) -> Material:
    """The training images of a product. Images whose mask is empty say nothing of where the anomaly is.

    Raises BenchError where a defect type has no image with a mask.
    """
    abnormal = []
    for defect in types:
        rows = [row for row, real in enumerate(category.anomalies[defect]) if real.mask.any()]
        if not rows:
            raise BenchError(
                f"'{owner}' learns each defect type from masked images, and every training mask of "
                f"'{defect}' of '{category.name}' is empty; check ground_truth/{defect}"
            )
        abnormal.append(tuple(rows[: params.anomalies]))
    return Material(category, tuple(types), tuple(abnormal), tuple(normal), params.side)


def draw(material: Material, params: SeaSParams, rng: Generator, abnormal: int, normal: int) -> list[Pose]:
    """The poses of one batch: first abnormal images of the unified set, then normal ones."""
    pairs = material.pairs
    if params.normal_pairing == "paired" and pairs:
        return _paired(material, params, rng, abnormal, normal)
    chosen = [pairs[i] for i in rng.integers(len(pairs), size=abnormal)] if abnormal else []
    chosen += [(-1, material.normal[i]) for i in rng.integers(len(material.normal), size=normal)]
    turns, mirrors = rng.integers(TURNS, size=len(chosen)), rng.integers(MIRRORS, size=len(chosen))
    if params.augmentation == "none":
        turns, mirrors = turns * 0, mirrors * 0
    return [
        Pose(kind, row, int(turn), int(mirror))
        for (kind, row), turn, mirror in zip(chosen, turns, mirrors, strict=True)
    ]


def _paired(material: Material, params: SeaSParams, rng: Generator, abnormal: int, normal: int) -> list[Pose]:
    """As `draw`, but each abnormal image comes with its own normal one, in the same turn and flip."""
    pairs, count = material.pairs, max(abnormal, normal)
    numbers = rng.integers(len(pairs), size=count)
    turns, mirrors = rng.integers(TURNS, size=count), rng.integers(MIRRORS, size=count)
    if params.augmentation == "none":
        turns, mirrors = turns * 0, mirrors * 0
    anomalies, normals = [], []
    for number, turn, mirror in zip(numbers.tolist(), turns.tolist(), mirrors.tolist(), strict=True):
        kind, row = pairs[number]
        anomalies.append(Pose(kind, row, turn, mirror))
        normals.append(Pose(-1, material.normal[number % len(material.normal)], turn, mirror))
    return anomalies[:abnormal] + normals[:normal]


class Latents:
    """Means and deviations of the VAE's latents of each pose, encoded once and kept on the device."""

    def __init__(self, vae: Any, material: Material, device: torch.device) -> None:
        self.vae, self.material, self.device = vae, material, device
        self._kept: dict[Pose, tuple[Tensor, Tensor]] = {}

    def draw(self, poses: Sequence[Pose], noise: Tensor) -> Tensor:
        """A draw of the scaled latents of each pose, (B, 4, h, w); `noise` of that shape decides it."""
        moments = [self._of(pose) for pose in poses]
        means, deviations = (torch.cat([pair[i] for pair in moments]) for i in (0, 1))
        return (means + deviations * noise) * self.vae.config.scaling_factor

    def masks(self, poses: Sequence[Pose]) -> Tensor:
        """float32 (B, side, side) of 0 and 1."""
        masks = np.stack([self.material.mask(pose) for pose in poses])
        return torch.from_numpy(masks).to(self.device).float()

    def _of(self, pose: Pose) -> tuple[Tensor, Tensor]:
        if pose not in self._kept:
            # One at a time: in a batch the same image has other bits, and a resumed fit draws other batches.
            with torch.no_grad():
                latents = self.vae.encode(as_input(self.material.image(pose)[None], self.vae)).latent_dist
            self._kept[pose] = (latents.mean.float(), latents.std.float())
        return self._kept[pose]


def as_input(images: np.ndarray, network: Any) -> Tensor:
    """uint8 [B, H, W, 3] to [-1, 1] (B, 3, H, W), of the network's type and on its device."""
    pixels = torch.from_numpy(images).to(network.device).permute(0, 3, 1, 2)
    return (pixels.float() / 127.5 - 1).to(network.dtype).contiguous()


def latent_noise(rng: Generator, count: int, vae: Any, side: int, device: torch.device) -> Tensor:
    """Standard normal float32 (count, 4, side/8, side/8), drawn on the CPU: the same on every device."""
    latent = side // 2 ** (len(vae.config.block_out_channels) - 1)
    values = rng.standard_normal((count, vae.config.latent_channels, latent, latent), dtype=np.float32)
    return torch.from_numpy(values).to(device)
