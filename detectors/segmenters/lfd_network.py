"""LFD, the lightweight segmenter that SeaS released: a narrow look for context, a full one for detail.

HUST-SLOW/LFD, models/net/LFD_core.py; SeaS (Dai et al., ICCV 2025), A.3. About 0.94 million parameters. Not
of the release: stages of EfficientNet-Lite0 in place of ResNet-18's, whose weights come with no package.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from detectors.pretrained import embedded_state, torchvision_state

CHANNELS = 128


class LFDNetwork(nn.Module):
    """Logits (B, 2, H, W) of images (B, 3, H, W). lite: the branches are EfficientNet-Lite0's."""

    def __init__(self, scale: int = 2, lite: bool = False) -> None:
        super().__init__()
        self.scale = scale
        if lite:
            self.semantic = nn.Sequential(_lite_trunk(3), nn.Conv2d(40, CHANNELS, 1), *_norm())
            detail, width = _lite_trunk(2), 24
        else:
            self.semantic = _trunk(2)
            detail, width = _trunk(1), 64
        self.context = nn.ModuleList(_context(dilation) for dilation in (2, 1))
        self.detail = nn.Sequential(detail, nn.Conv2d(width, CHANNELS, 1), *_norm())
        self.attention = nn.Sequential(
            nn.Conv2d(2 * CHANNELS, CHANNELS, 1), *_norm(), nn.Conv2d(CHANNELS, 1, 1), nn.Sigmoid()
        )
        self.head = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), *_norm(), nn.Conv2d(CHANNELS, 2, 1))

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        # Half as wide as high: the first of the context blocks looks twice as far along a row.
        x = self.semantic(_resize(images, height // self.scale, width // (2 * self.scale)))
        for block in self.context:
            x = x + block(x)
        detail = self.detail(images)  # (B, 128, H/4, W/4)
        context = _resize(x, *detail.shape[-2:])
        fused = self.attention(torch.cat((context, detail), dim=1)) * detail + context
        return _resize(self.head(fused), height, width)


def build(scale: int, start: str, weights: Path | None, pretrained: bool = True) -> nn.Module:
    """LFD, whose two branches start as `start` says (LFDParams.init_weights), at random if not `pretrained`.

    FileNotFoundError where the weights are not there: `Adapter.missing` says so beforehand.
    """
    network = LFDNetwork(scale, lite=start == "embedded")
    if pretrained and start == "imagenet":
        state = torchvision_state("resnet18", weights)
        for trunk in (network.semantic, network.detail[0]):
            trunk.load_state_dict(
                {name: state[name] for name in trunk.state_dict() if name in state}, strict=False
            )
    elif pretrained and start == "embedded":
        for trunk in (network.semantic[0], network.detail[0]):
            trunk.load_state_dict(embedded_state(trunk))
    return network


def _trunk(stages: int) -> nn.Sequential:
    """ResNet-18 up to its first or second stage, under the names of its weights."""
    whole = resnet18(weights=None)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2")[: 4 + stages]
    return nn.Sequential(OrderedDict((name, getattr(whole, name)) for name in names))


def _lite_trunk(stages: int) -> nn.Sequential:
    """EfficientNet-Lite0 up to its second stage (24 channels, H/4) or its third (40, H/8)."""
    whole: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    parts = OrderedDict(conv_stem=whole.conv_stem, bn1=whole.bn1, blocks=whole.blocks[:stages])
    return nn.Sequential(parts)


def _context(dilation: int) -> nn.Sequential:
    def strip(size: tuple[int, int], spread: int) -> nn.Conv2d:
        padding = (spread * (size[0] // 2), spread * (size[1] // 2))
        return nn.Conv2d(CHANNELS, CHANNELS, size, dilation=spread, padding=padding, groups=CHANNELS)

    mixed = nn.Conv2d(CHANNELS, CHANNELS, 1)
    return nn.Sequential(strip((1, 5), dilation), strip((5, 1), 1), mixed, *_norm())


def _norm() -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(CHANNELS), nn.ReLU()


def _resize(x: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
