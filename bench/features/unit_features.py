"""Features written so that a perceptual distance is a squared Euclidean one.

LPIPS (Zhang et al. 2018, equation 1) of two images is

    sum_stages 1/(H W) sum_positions sum_c w_c (u_c - v_c)^2

with u and v each position's channels scaled to length 1 and w >= 0. So it is |g(u) - g(v)|^2 for
g = sqrt(w / (H W)) u, flattened: one forward an image serves all pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

EPSILON = 1e-10  # lpips adds it to the length, so that a position without activation gives zeros


def unit_vectors(stage: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """One stage's g: float32 [B, C, H, W] -> [B, H * W * C'], C' the channels whose weight is not 0.

    weights: float32 [C], 0 or above; None weighs every channel 1.
    """
    import torch

    x = stage.permute(0, 2, 3, 1)  # (B, H, W, C)
    length = torch.linalg.vector_norm(x, dim=3, keepdim=True) + EPSILON
    positions = x.shape[1] * x.shape[2]
    if weights is not None:
        used = torch.nonzero(weights).flatten()
        # indexing copied, so in place from here on: a copy more is a third of what a batch needs
        return x[..., used].mul_((weights[used] / positions).sqrt()).div_(length).reshape(len(x), -1)
    return (x / (length * positions**0.5)).reshape(len(x), -1)
