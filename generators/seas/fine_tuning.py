"""Separation and sharing fine-tuning (3.2): the U-Net and the new token rows, on mixed batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.methods.context import Context
from bench.methods.training import Fit, FitPart, Losses
from generators.seas.attention import keep_maps
from generators.seas.base import DTYPES, Base, TextSide
from generators.seas.losses import (
    alignment_loss,
    background_loss,
    noise_loss,
    pooled_mask,
    suppression_loss,
)
from generators.seas.material import Latents, Material, Pose, draw, latent_noise
from generators.seas.noising import noised, signal_shares
from generators.seas.params import SeaSParams
from generators.seas.prompts import Prompts

CHECKPOINT_SECONDS = 600.0
"""A checkpoint of the real U-Net with its optimizer is 10 GB."""
REMEDY = "lower its learning rate, or use precision=fp32"


class FineTuning:
    """The loss of Eq. 6 on a batch of poses, with all that it needs held ready."""

    def __init__(
        self,
        base: Base,
        text: TextSide,
        prompts: Prompts,
        material: Material,
        latents: Latents,
        params: SeaSParams,
        device: torch.device,
    ) -> None:
        self.unet, self.vae, self.text = base.unet, base.vae, text
        self.material, self.latents, self.params, self.device = material, latents, params, device
        self.shares = signal_shares(base.schedule).to(device)
        self.maps = keep_maps(self.unet, params.attention_layers)
        # The prompts of the types, and the prompt of normal images last.
        self.ids = text.ids([*(prompt.text for prompt in prompts.abnormal), prompts.normal.text]).to(device)
        places = [text.places(prompt) for prompt in prompts.abnormal]
        self.normal_places = [torch.tensor(pair[0], device=device) for pair in places]
        self.anomaly_places = [torch.tensor(pair[1], device=device) for pair in places]

    def loss(self, poses: Sequence[Pose], noise: Tensor, times: Tensor, jitter: Tensor) -> dict[str, Tensor]:
        """Each part of the loss, and "loss", their sum: L = L_df + L_ob (Eq. 3 to 6).

        `poses` has the abnormal images first; `noise` and `jitter` (B, 4, h, w) are noise of the diffusion
        and of the VAE's draw, `times` int64 (B). Beside losses: the mean attention of the anomaly tokens
        and of the normal token, inside the mask and outside it.
        """
        count = sum(pose.kind >= 0 for pose in poses)
        clean = self.latents.draw(poses, jitter)
        noisy = noised(clean, noise, self.shares[times].float())
        kinds = torch.tensor([pose.kind for pose in poses], device=self.device) % len(self.ids)
        used, which = kinds.unique(return_inverse=True)
        with (
            torch.autocast(
                self.device.type, DTYPES[self.params.precision], enabled=self.params.precision != "fp32"
            ),
            self.maps.record(),
        ):
            prompts = self.text(self.ids[used])[which]
            predicted = self.unet(noisy, times, encoder_hidden_states=prompts).sample
            parts = self._alignment(poses[:count]) if count else {}
        squared = self.params.squared_norm
        if count:
            parts["noise_abnormal"] = noise_loss(noise[:count], predicted[:count], squared)
        if count < len(poses):
            parts["noise_normal"] = noise_loss(noise[count:], predicted[count:], squared)
        losses = [value for name, value in parts.items() if not name.endswith("side")]
        return {"loss": torch.stack(losses).sum(), **parts}

    def _alignment(self, poses: Sequence[Pose]) -> dict[str, Tensor]:
        params = self.params
        masks = self.latents.masks(poses)
        latent_side = self.material.side // 2 ** (len(self.vae.config.block_out_channels) - 1)
        anomaly_at = torch.stack([self.anomaly_places[pose.kind] for pose in poses])
        normal_at = torch.stack([self.normal_places[pose.kind] for pose in poses])
        anomaly, normal, pooled = [], [], []
        for level in params.attention_layers:
            anomaly.append(self.maps.of_tokens(level, anomaly_at))  # (B, r, r)
            normal.append(self.maps.of_tokens(level, normal_at))
            pooled.append(pooled_mask(masks, anomaly[-1].shape[1], latent_side, params.mask_pooling))
        options: Any = {"norm": params.attention_norm, "squared": params.squared_norm}
        parts = {"alignment": alignment_loss(anomaly, pooled, **options)}
        if params.normal_token_term == "suppress":
            parts["suppression"] = suppression_loss(normal, pooled, cells=params.suppressed_cells, **options)
        elif params.normal_token_term == "align":
            parts["background"] = background_loss(normal, pooled, **options)
        inside = pooled[0] == 1
        for name, maps in (("anomaly", anomaly[0].detach()), ("normal", normal[0].detach())):
            parts[f"{name}_inside"] = (maps * inside).sum() / inside.sum().clamp(min=1)
            parts[f"{name}_outside"] = (maps * ~inside).sum() / (~inside).sum().clamp(min=1)
        return parts

    def batch(self, ctx: Context, index: int, abnormal: int, normal: int) -> tuple:
        """Poses, noise, times and jitter of batch `index`, by a stream of its own."""
        rng = ctx.rng(f"fine-tuning/{self.material.stream}", index)
        poses = draw(self.material, self.params, rng, abnormal, normal)
        noise, jitter = (
            latent_noise(rng, len(poses), self.vae, self.material.side, self.device) for _ in range(2)
        )
        times = torch.from_numpy(rng.integers(len(self.shares), size=len(poses))).to(self.device)
        return poses, noise, times, jitter


def composition(params: SeaSParams, step: int, steps: int, types: int) -> tuple[int, int]:
    """How many abnormal and how many normal images the batch of a step has.

    Mixed batches as in Eq. 6; in order, batches of the same size, the first half of the steps of one kind.
    """
    size = params.abnormal_batch + params.normal_batch
    if types == 0:
        return 0, size
    if params.mixing == "mixed":
        return params.abnormal_batch, params.normal_batch * params.normal_alignment
    abnormal_first = params.mixing == "abnormal-then-normal"
    return (size, 0) if (step < steps // 2) == abnormal_first else (0, size)


def make_optimizer(kind: str, groups: list[dict[str, Any]], weight_decay: float) -> torch.optim.Optimizer:
    """AdamW with betas 0.9 and 0.999, of one of the kinds of `SeaSParams.optimizer`."""
    if kind == "8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(groups, weight_decay=weight_decay)
    return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=kind == "fused")


def fine_tuning_fit(tuning: FineTuning, ctx: Context, owner: str, part: FitPart, steps: int) -> Fit:
    """The fit of the U-Net and of the rows of tokens."""
    params = tuning.params
    learned = params.unet == "learned"
    unet = tuning.unet.requires_grad_(learned).train()
    groups = [{"params": list(unet.parameters()), "lr": params.learning_rate}] if learned else []
    rows = [row for row in tuning.text.words.parameters() if len(row)]
    if rows:
        groups.append({"params": rows, "lr": params.token_learning_rate})
    optimizer = make_optimizer(params.optimizer, groups, params.weight_decay)
    types = len(tuning.material.types)

    def step(index: int) -> Losses:
        optimizer.zero_grad(set_to_none=True)
        means: dict[str, Tensor] = {}
        for repeat in range(params.accumulation):
            counts = composition(params, index, steps, types)
            batch = tuning.batch(ctx, index * params.accumulation + repeat, *counts)
            values = tuning.loss(*batch)
            (values["loss"] / params.accumulation).backward()
            for key, value in values.items():
                means[key] = means.get(key, 0) + value.detach() / params.accumulation
        optimizer.step()
        names, numbers = list(means), torch.stack(list(means.values())).tolist()
        return dict(zip(names, numbers, strict=True))

    state = {"unet": unet, "words": tuning.text.words}
    return Fit(
        owner,
        steps,
        step,
        state,
        {"optimizer": optimizer},
        part=part,
        remedy=REMEDY,
        checkpoint_seconds=CHECKPOINT_SECONDS,
    )
