"""Features of images by the frozen backbone, and the masks of their places."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.backbones.backbone import Backbone, resized
from detectors.backbones.embedding import embed
from detectors.glass import GlassParams


def features(
    params: GlassParams, backbone: Backbone, images: np.ndarray, device: str
) -> tuple[Tensor, tuple[int, int]]:
    """Features float32 (B, h w, D) of images uint8 [B, H, W, 3], and (h, w)."""
    with torch.no_grad():
        x = resized(images, params.size, None, device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=params.precision == "bf16"):
            maps = backbone(x)
        height, width = maps[0].shape[-2:]
        return embed(maps, params.embedding, params.dimension), (height, width)


def place_masks(masks: np.ndarray, shape: tuple[int, int], device: str) -> Tensor:
    """bool (B, h w) of masks bool [B, H, W]: true where any pixel of a place is."""
    pixels = torch.from_numpy(masks).to(device)[:, None].float()
    return F.adaptive_max_pool2d(pixels, shape).flatten(1) > 0
