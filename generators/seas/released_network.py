"""The mask branch of SeaS as it was released: the names, shapes and layers of its checkpoints.

What names and shapes cannot show is marked in docs/explanation/seas-faithfulness.md: the number of attention
heads (8 here, as in Stable Diffusion 1), and the ReLU behind each normalisation but the head's and conv5's.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import Transformer2DModel
from torch import Tensor, nn

from generators.seas.mask_network import HEADS, TRANSFORMER_LAYERS, upsampled

GROUPS = 32
"""Of the transformer's normalisation, so the coarse feature has a multiple of as many channels."""


class BatchStatistics(nn.Module):
    """Batch normalisation by the batch itself, at inference too: the release never calls eval()."""

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        # The stored statistics are in the checkpoints and decide nothing; only training moves them.
        mean, var = (self.stored_mean, self.stored_var) if self.training else (None, None)
        return F.batch_norm(x, mean, var, self.gain, self.bias, training=True)


def _block(before: int, after: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, BatchStatistics(after), nn.ReLU())


class ReleasedRefinement(nn.Module):
    """One mask refinement module: the summed paths times the fine feature, plus the upsampled feature."""

    def __init__(self, width: int, fine: int) -> None:
        super().__init__()
        self.conv1 = _block(fine, width, 1)
        self.conv2 = _block(width, width, 1)
        self.conv3 = _block(width, width, 3)
        self.conv4 = _block(width, width, 1)
        self.conv5 = _block(width, width, 1)
        self.conv6 = _block(width, width, 3)  # never used, but in the checkpoints
        self.conv7 = _block(width, width, 1)
        self.conv8 = _block(width, width, 3)
        self.conv9 = _block(width, width, 1)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        """(B, C, h, w) and (B, F, H, W) to (B, C, H, W)."""
        x = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=True)
        first = self.conv4(self.conv3(self.conv2(x)))
        second = self.conv9(self.conv8(self.conv7(first)))
        return self.conv1(fine) * (self.conv5(x) + first + second) + x


class _Fuse(nn.Module):
    """The level at which the release nests its transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        transformer: Any = Transformer2DModel(
            num_attention_heads=HEADS,
            attention_head_dim=width // HEADS,
            in_channels=width,
            num_layers=TRANSFORMER_LAYERS,
            norm_num_groups=GROUPS,
        )
        self.attentions = nn.ModuleList([transformer])

    def forward(self, x: Tensor) -> Tensor:
        return self.attentions[0](x, return_dict=False)[0]


class ReleasedMaskBranch(nn.Module):
    """Features of two up layers of the U-Net and three of the VAE to logits, the second class anomalous."""

    def __init__(
        self, coarse_channels: Sequence[int], widths: Sequence[int], fine_channels: Sequence[int]
    ) -> None:
        super().__init__()
        (low, middle), (low_width, middle_width) = coarse_channels, widths
        width = low_width + middle_width
        self.low_feature_conv = nn.Sequential(nn.Conv2d(low, low_width, 1, bias=False))
        self.mid_feature_conv = nn.Sequential(nn.Conv2d(middle, middle_width, 1, bias=False))
        self.out_layer = nn.Sequential(BatchStatistics(width), nn.ReLU(), nn.Conv2d(width, 2, 3, padding=1))
        self.mid_attn_block = _Fuse(width)
        self.MRM1, self.MRM2, self.MRM3 = (ReleasedRefinement(width, fine) for fine in fine_channels)

    def coarse(self, features: Sequence[Tensor]) -> Tensor:
        """The coarse feature, (B, 192, 64, 64) at full size."""
        low, middle = features
        low, middle = self.low_feature_conv(low), self.mid_feature_conv(middle)
        return self.mid_attn_block(torch.cat([upsampled(low, middle.shape[2]), middle], dim=1))

    def refined(self, coarse: Tensor, fine: Sequence[Tensor]) -> Tensor:
        """The feature after three refinement modules, (B, 192, 512, 512) at full size."""
        for module, feature in zip((self.MRM1, self.MRM2, self.MRM3), fine, strict=True):
            coarse = module(coarse, feature)
        return coarse

    def training_logits(
        self, features: Sequence[Tensor], fine: Sequence[Tensor], side: int
    ) -> tuple[Tensor, Tensor]:
        """Coarse and large logits of a batch whose first images, those with fine features, are abnormal.

        A normal image has its coarse feature enlarged in the place of a refined one; one head sees them all.
        """
        coarse = self.coarse(features)
        count = len(fine[0])
        refined = self.refined(coarse[:count], fine)
        large = F.interpolate(coarse[count:], refined.shape[2:], mode="bilinear", align_corners=True)
        logits = self.out_layer(torch.cat([refined, large.to(refined.dtype)]))
        return self.out_layer(coarse), upsampled(logits, side)

    def forward(self, features: Sequence[Tensor], fine: Sequence[Tensor], side: int) -> tuple[Tensor, Tensor]:
        """Coarse and refined logits of abnormal images."""
        return self.training_logits(features, fine, side)
