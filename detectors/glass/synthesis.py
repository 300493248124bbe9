"""Global anomalies: normal features moved up a gradient, and held where anomalies may be (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.glass import GlassParams

TINY = 1e-10


def ascended(points: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """Points (N, D), each moved by `rate` along its gradient (N, D): eq. 5, as the released code has it."""
    return points + rate * gradient / (gradient.norm(dim=1, keepdim=True) + TINY)


def truncated(points: Tensor, origins: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Points (N, D) at their direction from `origins` (N, D), at a distance cut to [low, high]: eq. 6."""
    offset = points - origins
    distance = offset.norm(dim=1, keepdim=True)
    return origins + offset * (distance.clamp(low, high) / (distance + TINY))


def radius_of(points: Tensor, centres: Tensor, quantile: float) -> Tensor:
    """The quantile of the distances of points to centres, both (N, D); without gradient."""
    return torch.quantile((points - centres).norm(dim=1).detach(), quantile)


def global_anomalies(
    normal: Tensor,
    noise: Tensor,
    centres: Tensor,
    radius: Tensor,
    params: GlassParams,
    discriminate: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Anomalous features (N, D) of normal ones (N, D), and the logits (N,) of both, normal first.

    They start as the normal ones with noise and are moved, a step at a time, to where the discriminator takes
    them least for anomalies; now and then they are projected back to where the hypothesis has anomalies.
    """
    points = normal + noise
    for step in range(params.ascent_steps):
        _, logits = _both(normal, points, discriminate)
        loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        (gradient,) = torch.autograd.grad(loss, points)
        points = ascended(points, gradient, params.ascent_rate)
        if (step + 1) % params.projection_interval == 0:
            if params.hypothesis == "hypersphere":
                points = truncated(points, centres, radius, 2 * radius)
            else:
                points = truncated(points, normal, *params.distance)
    return points, *_both(normal, points, discriminate)


def _both(normal: Tensor, points: Tensor, discriminate: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Logits of both; together, since batch norm takes its statistics of both."""
    logits = discriminate(torch.cat((normal, points)))
    return logits[: len(normal)], logits[len(normal) :]


def hardest(logits: Tensor, anomalous: Tensor, easy: float) -> Tensor:
    """bool (N,): false for the share `easy` of features whose probability is nearest to the truth.

    `anomalous` is bool (N,). Online hard example mining of eq. 9, by squared errors.
    """
    error = (torch.sigmoid(logits.detach()) - anomalous.to(logits.dtype)) ** 2
    return error >= torch.quantile(error, easy) if easy else torch.ones_like(anomalous)
