"""Losses of segmenters: logits (B, 2, H, W) against targets int64 (B, H, W), 1 where anomalous."""

import torch
import torch.nn.functional as F
from torch import Tensor

OHEM_THRESHOLD, OHEM_KEPT = 0.7, 100_000


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, weight: Tensor | None = None) -> Tensor:
    """Mean of -(1 - p)^gamma log p, p the softmax probability of the true class.

    Lin et al., ICCV 2017, eq. 4, without alpha, as DRAEM and AnomalyDiffusion use it. Their code adds
    1e-5 to p against log 0; the log softmax needs no such offset.
    """
    loss = focal_pixels(logits, target, gamma)
    return (loss if weight is None else loss * weight[target]).mean()


def focal_pixels(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """The focal loss of each pixel, (B, H, W)."""
    log_p = torch.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]  # (B, H, W)
    return -((1 - log_p.exp()) ** gamma) * log_p


def ohem(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross entropy of the pixels whose true class has a probability below 0.7, and of at least the
    100,000 hardest pixels of the batch (all of them where it has fewer), as in SeaS's LFD: weights scale each
    pixel but not the mean's denominator."""
    loss = F.cross_entropy(logits, target, reduction="none").flatten()
    p = torch.exp(-loss.detach())
    count = min(OHEM_KEPT, p.numel())
    threshold = torch.clamp(p.kthvalue(count).values, min=OHEM_THRESHOLD)
    hard = (p <= threshold).to(loss.dtype)
    scale = hard if weight is None else hard * weight[target.flatten()]
    return (loss * scale).sum() / hard.sum()


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """1 - 2 sum(p y) / (sum p + sum y) over the batch, p the probability of the anomalous class."""
    p = torch.softmax(logits, dim=1)[:, 1]
    y = target.to(p.dtype)
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


def segmentation_loss(
    name: str, logits: Tensor, target: Tensor, *, gamma: float, anomaly_weight: float
) -> Tensor:
    """The loss called `name` (see SegmentationParams.loss), a scalar."""
    weight = None if anomaly_weight == 1 else logits.new_tensor([1.0, anomaly_weight])
    if name == "focal":
        return focal(logits, target, gamma, weight)
    if name == "ohem":
        return ohem(logits, target, weight)
    # Weights scale each pixel but not the mean's denominator, as in MMSegmentation.
    pixels = F.cross_entropy(logits, target, weight=weight, reduction="none")
    if name == "cross_entropy":
        return pixels.mean()
    return pixels.mean() + dice(logits, target)
