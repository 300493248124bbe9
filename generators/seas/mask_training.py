"""Training of the mask branch (3.3, Eq. 7) on the fine-tuned U-Net, which stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from bench.methods.context import Context
from bench.methods.training import Fit, FitPart, Losses
from generators.seas.base import DTYPES, Base
from generators.seas.features import channels, fine_features, noise_and_features
from generators.seas.fine_tuning import REMEDY, make_optimizer
from generators.seas.losses import coarse_target, focal_loss
from generators.seas.mask_network import MaskBranch, upsampled
from generators.seas.material import Latents, Material, Pose, draw, latent_noise
from generators.seas.noising import noised, one_step_on, predicted_clean, signal_shares
from generators.seas.params import SeaSParams
from generators.seas.released_network import ReleasedMaskBranch

Branch = MaskBranch | ReleasedMaskBranch


def build_branch(base: Base, params: SeaSParams) -> Branch:
    """A mask branch for these networks, with the options of the parameters."""
    coarse, fine = channels(base.unet, base.vae, params.mask_features, params.fine_features)
    widths = [params.coarse_widths[level > 2] for level in params.mask_features]
    if params.mask_network == "released":
        return ReleasedMaskBranch(coarse, widths, fine)
    return MaskBranch(
        coarse, widths, fine, params.refined_widths, params.refinement, params.refinement_module
    )


def mask_loss(
    coarse: Tensor,
    refined: Tensor,
    coarse_mask: Tensor,
    mask: Tensor,
    normal_coarse: Tensor | None,
    *,
    gamma: float = 2.0,
    coarse_supervision: bool = True,
    normal_large: Tensor | None = None,
    smoothing: float = 0.0,
    total: Literal["sum", "mean"] = "sum",
) -> Tensor:
    """Eq. 7: focal losses at both sizes of abnormal images and of normal ones, whose masks are 0.

    `coarse` (B, 2, 64, 64) and `refined` (B, 2, 512, 512) logits with masks (B, 64, 64) and (B, 512, 512);
    `normal_coarse` (B', 2, 64, 64) are the logits of normal images, upsampled here for the fourth term where
    `normal_large` (B', 2, 512, 512) is not given. With `total` "mean" the images of each size are averaged as
    one batch, and the two sizes added.
    """

    def loss(logits: Tensor, target: Tensor, images: int) -> Tensor:
        share = len(logits) / images if total == "mean" else 1
        return focal_loss(logits, target, gamma, smoothing) * share

    images = len(refined) + (0 if normal_coarse is None else len(normal_coarse))
    losses = [loss(refined, mask, images)]
    if coarse_supervision:
        losses.append(loss(coarse, coarse_mask, images))
    if normal_coarse is not None and len(normal_coarse):
        large = upsampled(normal_coarse, refined.shape[2]) if normal_large is None else normal_large
        losses.append(loss(large, torch.zeros_like(large[:, 0]), images))
        if coarse_supervision:
            losses.append(loss(normal_coarse, torch.zeros_like(normal_coarse[:, 0]), images))
    return torch.stack(losses).sum()


class MaskTraining:
    """The loss of Eq. 7 on a batch of poses; the text embeddings `prompts` (types + 1, Z, C1) are fixed."""

    def __init__(
        self,
        base: Base,
        branch: Branch,
        prompts: Tensor,
        material: Material,
        latents: Latents,
        params: SeaSParams,
        device: torch.device,
    ) -> None:
        self.unet, self.vae, self.branch, self.prompts = base.unet, base.vae, branch, prompts
        self.material, self.latents, self.params, self.device = material, latents, params, device
        self.shares = signal_shares(base.schedule).to(device)

    def loss(
        self,
        poses: Sequence[Pose],
        noise: Tensor,
        times: Tensor,
        jitter: Tensor,
        fresh: Tensor | None = None,
    ) -> Tensor | None:
        """Eq. 7 for these poses, the abnormal ones first; None where the released code skips the batch.

        `fresh` (B, 4, h, w) is the noise of the step whose latents are looked at, with mask_latents=noisy.
        """
        params, count = self.params, sum(pose.kind >= 0 for pose in poses)
        precision, side = DTYPES[params.precision], self.material.side
        large: Tensor | None = None
        with torch.autocast(self.device.type, precision, enabled=params.precision != "fp32"):
            coarse_in, fine = self.features(poses, noise, times, jitter, count, fresh)
            if isinstance(self.branch, ReleasedMaskBranch):
                logits, both = self.branch.training_logits(coarse_in, fine, side)
                refined, large = both[:count], both[count:]
            else:
                coarse, logits = self.branch.coarse_logits(coarse_in)
                refined = self.branch.refined_logits(coarse[:count], logits[:count], fine, side)
        mask = self.latents.masks(poses[:count])
        small = coarse_target(mask, logits.shape[2], params.coarse_target)
        if small is None:
            return None
        return mask_loss(
            logits[:count],
            refined,
            small,
            mask,
            logits[count:],
            gamma=params.focal_gamma,
            coarse_supervision=params.coarse_supervision,
            normal_large=large,
            smoothing=params.focal_smoothing,
            total=params.mask_loss,
        )

    @torch.no_grad()
    def features(
        self,
        poses: Sequence[Pose],
        noise: Tensor,
        times: Tensor,
        jitter: Tensor,
        count: int,
        fresh: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Features of the U-Net for all poses, and of the VAE for the first `count`, the abnormal ones."""
        shares = self.shares[times].float()
        noisy = noised(self.latents.draw(poses, jitter), noise, shares)
        kinds = torch.tensor([pose.kind for pose in poses], device=self.device) % len(self.prompts)
        predicted, coarse = noise_and_features(
            self.unet, self.params.mask_features, noisy, times, self.prompts[kinds]
        )
        guess = predicted[:count].float()
        if fresh is None:
            # At sampling there is no clean latent but the predicted one.
            viewed = predicted_clean(noisy[:count], guess, shares[:count])
        else:
            viewed = one_step_on(noisy[:count], guess, times[:count], self.shares, fresh[:count])
        _, fine = fine_features(self.params.fine_features, self.vae, viewed)
        return coarse, fine

    def batch(self, ctx: Context, index: int) -> tuple:
        """Poses, noise, times, jitter and fresh noise of batch `index`, by a stream of its own."""
        rng = ctx.rng(f"mask/{self.material.stream}", index)
        normal = self.params.normal_batch * self.params.normal_supervision
        poses = draw(self.material, self.params, rng, self.params.abnormal_batch, normal)
        noise, jitter = (
            latent_noise(rng, len(poses), self.vae, self.material.side, self.device) for _ in range(2)
        )
        times = torch.from_numpy(rng.integers(self.params.mask_time + 1, size=len(poses))).to(self.device)
        fresh = None
        if self.params.mask_latents == "noisy":
            fresh = latent_noise(rng, len(poses), self.vae, self.material.side, self.device)
        return poses, noise, times, jitter, fresh


def mask_fit(training: MaskTraining, ctx: Context, owner: str, part: FitPart, steps: int) -> Fit:
    """The fit of the mask branch."""
    params, branch = training.params, training.branch
    training.unet.requires_grad_(False).eval().zero_grad(set_to_none=True)
    branch.requires_grad_(True).train()
    groups = [{"params": list(branch.parameters()), "lr": params.mask_learning_rate}]
    optimizer = make_optimizer(params.optimizer, groups, params.weight_decay)

    def step(index: int) -> Losses:
        optimizer.zero_grad(set_to_none=True)
        mean = 0.0
        for repeat in range(params.mask_accumulation):
            loss = training.loss(*training.batch(ctx, index * params.mask_accumulation + repeat))
            if loss is not None:
                (loss / params.mask_accumulation).backward()
                mean += loss.item() / params.mask_accumulation
        optimizer.step()
        return {"loss": mean}

    return Fit(owner, steps, step, {"branch": branch}, {"optimizer": optimizer}, part=part, remedy=REMEDY)
