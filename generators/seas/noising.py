"""Forward diffusion: what noise a latent has at a step, on the training schedule and on a longer one."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def signal_shares(schedule: Mapping[str, Any], steps: int | None = None) -> Tensor:
    """Cumulative alphas of Stable Diffusion's schedule, float64 [steps], of its own length if None.

    The square roots of the betas rise linearly ("scaled_linear"). A longer schedule spreads the same betas
    over more steps, so that its end has less signal: 4.7e-3 at 1,000 steps, 3.2e-4 at 1,500.
    """
    steps = steps or int(schedule["num_train_timesteps"])
    low, high = math.sqrt(schedule["beta_start"]), math.sqrt(schedule["beta_end"])
    betas = torch.linspace(low, high, steps, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0)


def noised(latents: Tensor, noise: Tensor, share: Tensor | float) -> Tensor:
    """alpha z + beta eps, where alpha^2 = share of signal, for each image or one for all (3.1)."""
    share = torch.as_tensor(share, dtype=latents.dtype, device=latents.device).reshape(-1, 1, 1, 1)
    return share.sqrt() * latents + (1 - share).sqrt() * noise


def predicted_clean(latents: Tensor, noise: Tensor, share: Tensor | float) -> Tensor:
    """The latents that are left when the predicted noise is taken out."""
    share = torch.as_tensor(share, dtype=latents.dtype, device=latents.device).reshape(-1, 1, 1, 1)
    return (latents - (1 - share).sqrt() * noise) / share.sqrt()


def one_step_on(latents: Tensor, noise: Tensor, times: Tensor, shares: Tensor, fresh: Tensor) -> Tensor:
    """The step of DDPM from `times`, int64 (B), to the times before, with predicted and fresh noise.

    `shares` are the signal shares of the schedule; no fresh noise is added where the step ends at no noise.
    """
    share = shares[times].reshape(-1, 1, 1, 1).to(latents.dtype)
    before = torch.where(times > 0, shares[(times - 1).clamp(min=0)], torch.ones_like(shares[times]))
    before = before.reshape(-1, 1, 1, 1).to(latents.dtype)
    ratio = share / before
    clean = predicted_clean(latents, noise, share)
    mean = (before.sqrt() * (1 - ratio) * clean + ratio.sqrt() * (1 - before) * latents) / (1 - share)
    spread = ((1 - before) / (1 - share) * (1 - ratio)).clamp(min=1e-20).sqrt()
    return mean + torch.where(times.reshape(-1, 1, 1, 1) > 0, spread, torch.zeros_like(spread)) * fresh
