"""What DRAEM minimises: L2 + SSIM of the reconstruction, and the focal loss of the map (eq. 1 and 3)."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.draem import DraemParams
from detectors.losses import focal_pixels, segmentation_loss

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
"""Wang et al., "Image quality assessment", 2004, with values within [0, 1]."""


def reconstruction_loss(said: Tensor, clean: Tensor, known: Tensor) -> Tensor:
    """Mean square plus one minus mean SSIM of images (B, 3, H, W), where known bool (B, H, W) is true.

    Elsewhere what was said is taken for right, so that it has no part in either mean.
    """
    said = torch.where(known[:, None], said, clean)
    return F.mse_loss(said, clean) + 1 - ssim(said, clean)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity of images (B, C, H, W), zeros beyond the border as in DRAEM's code."""
    means = _blurred(torch.stack((x, y, x * x, y * y, x * y)))  # (5, B, C, H, W)
    mx, my, xx, yy, xy = means
    vx, vy, cov = xx - mx * mx, yy - my * my, xy - mx * my
    likeness = (2 * mx * my + C1) * (2 * cov + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
    return likeness.mean()


def _blurred(maps: Tensor) -> Tensor:
    """The maps (..., H, W) under a Gaussian window of 11 x 11."""
    rows, columns = (_window(side).to(maps) for side in maps.shape[-2:])
    return rows @ maps @ columns


@lru_cache(maxsize=8)
def _window(side: int) -> Tensor:
    """The window along one axis as a symmetric matrix, (side, side): on a CPU its products are several times
    as fast as convolutions of one channel."""
    at = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(at**2) / (2 * SIGMA**2))
    away = torch.arange(side)[:, None] - torch.arange(side)[None, :]
    inside = away.abs() <= WINDOW // 2
    return torch.where(
        inside, (weights / weights.sum())[(away + WINDOW // 2).clamp(0, WINDOW - 1)], 0.0
    ).float()


def map_loss(logits: Tensor, masks: Tensor, params: DraemParams) -> Tensor:
    """The loss of logits (B, 2, H, W) against masks bool (B, H, W); DRAEM's is focal, mean over all pixels.

    With a cutoff, anomalous pixels whose probability is at most that count as nothing (AnoGen's
    train_DRAEM.py).
    """
    target = masks.long()
    if params.confidence_cutoff is None:
        return segmentation_loss(params.loss, logits, target, gamma=params.focal_gamma, anomaly_weight=1.0)
    doubtful = masks & (torch.softmax(logits.detach(), dim=1)[:, 1] <= params.confidence_cutoff)
    return focal_pixels(logits, target, params.focal_gamma).masked_fill(doubtful, 0.0).mean()
