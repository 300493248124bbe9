"""The losses of SeaS, each a function of maps, masks and predictions: Eq. 3, 4, 5, 7 and 9."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Norm = Literal["minmax", "none"]
Squared = Literal["mean", "sum"]
_TINY = 1e-8


def minmax(maps: Tensor) -> Tensor:
    """Maps (B, r, r) scaled so that the least value of the batch is 0 and the largest 1."""
    low, high = maps.amin(), maps.amax()
    return (maps - low) / (high - low + _TINY)


def squared_norm(difference: Tensor, how: Squared) -> Tensor:
    """||x||^2 of each image, averaged over the images; "mean" averages over its values too."""
    return difference.square().mean() if how == "mean" else difference.square().flatten(1).sum(1).mean()


def alignment_loss(
    anomaly: Sequence[Tensor], masks: Sequence[Tensor], *, norm: Norm = "minmax", squared: Squared = "mean"
) -> Tensor:
    """First term of Eq. 3, summed over layers: || mean_n A_df^n - M ||^2.

    `anomaly` has for each layer the mean map of the anomaly tokens, (B, r, r), `masks` the masks at its size.
    """
    terms = [
        squared_norm((minmax(maps) if norm == "minmax" else maps) - mask, squared)
        for maps, mask in zip(anomaly, masks, strict=True)
    ]
    return torch.stack(terms).sum()


def suppression_loss(
    normal: Sequence[Tensor],
    masks: Sequence[Tensor],
    *,
    norm: Norm = "minmax",
    squared: Squared = "mean",
    cells: Literal["whole", "part"] = "whole",
) -> Tensor:
    """Second term of Eq. 3, summed over layers: || A_ob * M ||^2.

    With "mean" the average is taken over the cells that are wholly in the mask, or with "part" over those in
    it at all, as in the released code.
    """
    terms = []
    for maps, mask in zip(normal, masks, strict=True):
        maps = minmax(maps) if norm == "minmax" else maps
        if squared == "sum":
            terms.append(squared_norm(maps * mask, "sum"))
        else:
            inside = (mask == 1 if cells == "whole" else mask > 0).to(maps.dtype)
            terms.append((maps.square() * inside).sum() / inside.sum().clamp(min=1))
    return torch.stack(terms).sum()


def background_loss(
    normal: Sequence[Tensor], masks: Sequence[Tensor], *, norm: Norm = "minmax", squared: Squared = "mean"
) -> Tensor:
    """The term that Eq. 9 adds, summed over layers: || A_ob - (1 - M) ||^2."""
    return alignment_loss(normal, [1 - mask for mask in masks], norm=norm, squared=squared)


def noise_loss(noise: Tensor, predicted: Tensor, squared: Squared = "mean") -> Tensor:
    """|| eps - eps_theta ||^2 over latents (B, 4, h, w): Eq. 1, the second term of Eq. 4, and Eq. 5."""
    return squared_norm(noise - predicted.float(), squared)


def focal_loss(logits: Tensor, mask: Tensor, gamma: float = 2.0, smoothing: float = 0.0) -> Tensor:
    """Focal loss of a softmax over two classes, the mean over pixels: - (1 - p)^gamma log p.

    `logits` (B, 2, H, W), the second channel anomalous; `mask` (B, H, W) of 0 and 1; p is the probability of
    the true class, with smoothing s (1 - s) p + s (1 - p) + s, as in the released code.
    """
    log_p = F.log_softmax(logits.float(), dim=1).gather(1, mask.long()[:, None])[:, 0]  # (B, H, W)
    if smoothing:
        p = log_p.exp()
        log_p = ((1 - smoothing) * p + smoothing * (1 - p) + smoothing).log()
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


def pooled_mask(mask: Tensor, side: int, latent_side: int, how: Literal["any", "bilinear"] = "any") -> Tensor:
    """Masks (B, H, W) of 0 and 1 at the size of an attention map, (B, side, side).

    "any": 1 where a cell holds any pixel of the mask; "bilinear": in [0, 1], as in the released code.
    """
    mask = mask[:, None].float()
    if how == "bilinear":
        mask = F.interpolate(mask, (latent_side, latent_side), mode="bilinear", align_corners=False)
    return F.adaptive_max_pool2d(mask, side)[:, 0]


def coarse_target(
    mask: Tensor, side: int, how: Literal["any", "truncated", "scaled-truncated"] = "any"
) -> Tensor | None:
    """Masks (B, H, W) of 0 and 1 as targets of 0 and 1 at the size of the coarse logits, (B, side, side).

    None where the released code skips the batch: "scaled-truncated" of a mask that has nothing left.
    """
    if how == "any":
        return pooled_mask(mask, side, side)
    small = F.interpolate(mask[:, None].float(), (side, side), mode="bilinear", align_corners=False)[:, 0]
    if how == "scaled-truncated":
        most = small.amax(dim=(1, 2), keepdim=True)
        if not bool((most > 0).all()):
            return None
        small = small / most
    return small.floor()
