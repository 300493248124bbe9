"""The Refined Mask Prediction branch (3.3, Fig. 4, 12)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TRANSFORMER_LAYERS = 4
HEADS = 8
"""Not said in the paper, like the widths of the refinement modules and the normalisations."""


def _norm(channels: int) -> nn.GroupNorm:
    # Groups instead of batches: half of a batch of four is normal images, and inference sees none.
    return nn.GroupNorm(min(8, channels), channels)


def _convolution(before: int, after: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, padding=size // 2, bias=False), _norm(after), nn.ReLU()
    )


class CoarseFeatures(nn.Module):
    """Features of the U-Net's up layers to one coarse feature, at the size of the largest.

    Each is compressed by a 1 x 1 convolution block, upsampled and concatenated; four transformer layers fuse.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.compress = nn.ModuleList(
            _convolution(before, after, 1) for before, after in zip(channels, widths, strict=True)
        )
        self.width = sum(widths)
        heads = next(n for n in range(HEADS, 0, -1) if self.width % n == 0)
        self.fuse = nn.ModuleList(
            nn.TransformerEncoderLayer(
                self.width, heads, 4 * self.width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(TRANSFORMER_LAYERS)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        side = max(feature.shape[2] for feature in features)
        parts = [compress(feature) for compress, feature in zip(self.compress, features, strict=True)]
        parts = [
            F.interpolate(part, (side, side), mode="bilinear", align_corners=False)
            if part.shape[2] != side
            else part
            for part in parts
        ]
        tokens = torch.cat(parts, dim=1).flatten(2).transpose(1, 2)  # (B, side*side, width)
        for layer in self.fuse:
            tokens = layer(tokens)
        return tokens.transpose(1, 2).unflatten(2, (side, side))  # (B, width, side, side)


class ConvolutionBlock(nn.Module):
    """1 x 1, 3 x 3, 1 x 1, the chain of Fig. 12."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(channels, channels, 1),
            _convolution(channels, channels, 3),
            _convolution(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class MaskRefinement(nn.Module):
    """One MRM: a feature is brought to the size of a finer one, which sharpens its edges.

    Cases of Fig. 12: "a" a 1 x 1 convolution alone, "b" with one convolution block, "c" with two in a chain.
    """

    def __init__(self, channels: int, fine: int, width: int, case: Literal["a", "b", "c"] = "c") -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, width, 1)
        self.local = nn.Conv2d(width, width, 1)
        self.blocks = nn.ModuleList(ConvolutionBlock(width) for _ in range("abc".index(case)))
        # The product needs as many channels on both sides.
        self.fine = nn.Sequential(nn.GroupNorm(min(8, fine), fine), nn.Conv2d(fine, width, 1))
        self.out = _convolution(width, width, 3)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        """(B, C, h, w) and (B, F, H, W) to (B, width, H, W)."""
        # A 1 x 1 convolution and bilinear upsampling commute; narrow first is cheaper.
        x = F.interpolate(self.enter(x), fine.shape[2:], mode="bilinear", align_corners=False)
        added = self.local(x)
        for block in self.blocks:
            x = block(x)
            added = added + x
        return self.out(added * self.fine(fine))


class MaskBranch(nn.Module):
    """Features of the U-Net and of the VAE to logits of two classes, the second anomalous.

    `coarse_channels` and `widths` are those of the chosen up layers; `fine_channels` of the VAE's features,
    of which one refinement module takes the last and three in a row take all.
    """

    def __init__(
        self,
        coarse_channels: Sequence[int],
        widths: Sequence[int],
        fine_channels: Sequence[int],
        refined_widths: Sequence[int],
        refinement: Literal["none", "single", "progressive"] = "progressive",
        case: Literal["a", "b", "c"] = "c",
    ) -> None:
        super().__init__()
        self.coarse = CoarseFeatures(coarse_channels, widths)
        self.coarse_head = nn.Conv2d(self.coarse.width, 2, 3, padding=1)
        levels = {"none": [], "single": [2], "progressive": [0, 1, 2]}[refinement]
        self.levels = tuple(levels)
        modules, before = [], self.coarse.width
        for level in levels:
            modules.append(MaskRefinement(before, fine_channels[level], refined_widths[level], case))
            before = refined_widths[level]
        self.refine = nn.ModuleList(modules)
        self.head = nn.Conv2d(before, 2, 3, padding=1) if levels else None

    def coarse_logits(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The coarse feature (B, 192, 64, 64) and its logits (B, 2, 64, 64), at full size."""
        coarse = self.coarse(features)
        return coarse, self.coarse_head(coarse)

    def refined_logits(
        self, coarse: Tensor, coarse_logits: Tensor, fine: Sequence[Tensor], side: int
    ) -> Tensor:
        """Logits (B, 2, side, side) after the refinement modules; without any, the coarse ones upsampled."""
        if self.head is None:
            return upsampled(coarse_logits, side)
        for level, module in zip(self.levels, self.refine, strict=True):
            coarse = module(coarse, fine[level])
        return upsampled(self.head(coarse), side)

    def forward(self, features: Sequence[Tensor], fine: Sequence[Tensor], side: int) -> tuple[Tensor, Tensor]:
        """Coarse and refined logits."""
        coarse, logits = self.coarse_logits(features)
        return logits, self.refined_logits(coarse, logits, fine, side)


def upsampled(logits: Tensor, side: int) -> Tensor:
    """Logits (B, 2, h, h) at (B, 2, side, side), bilinear."""
    if logits.shape[2] == side:
        return logits
    return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
