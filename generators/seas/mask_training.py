"""Training of the mask branch (3.3, Eq. 7) on the fine-tuned U-Net, which stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.methods.context import Context
from bench.methods.training import Fit, FitPart, Losses
from generators.seas.base import DTYPES, Base
from generators.seas.features import channels, fine_features, noise_and_features
from generators.seas.fine_tuning import REMEDY, make_optimizer
from generators.seas.losses import focal_loss, pooled_mask
from generators.seas.mask_network import MaskBranch, upsampled
from generators.seas.material import Latents, Material, Pose, draw, latent_noise
from generators.seas.noising import noised, predicted_clean, signal_shares
from generators.seas.params import SeaSParams


def build_branch(base: Base, params: SeaSParams) -> MaskBranch:
    """A mask branch for these networks, with the options of the parameters."""
    coarse, fine = channels(base.unet, base.vae, params.mask_features, params.fine_features)
    widths = [params.coarse_widths[level > 2] for level in params.mask_features]
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
) -> Tensor:
    """Eq. 7: focal losses at both sizes of abnormal images and of normal ones, whose masks are 0.

    `coarse` (B, 2, 64, 64) and `refined` (B, 2, 512, 512) logits with masks (B, 64, 64) and (B, 512, 512);
    `normal_coarse` (B', 2, 64, 64) are the logits of normal images, upsampled here for the fourth term.
    """
    side = refined.shape[2]
    losses = [focal_loss(refined, mask, gamma)]
    if coarse_supervision:
        losses.append(focal_loss(coarse, coarse_mask, gamma))
    if normal_coarse is not None and len(normal_coarse):
        large = upsampled(normal_coarse, side)
        losses.append(focal_loss(large, torch.zeros_like(large[:, 0]), gamma))
        if coarse_supervision:
            losses.append(focal_loss(normal_coarse, torch.zeros_like(normal_coarse[:, 0]), gamma))
    return torch.stack(losses).sum()


class MaskTraining:
    """The loss of Eq. 7 on a batch of poses; the text embeddings `prompts` (types + 1, Z, C1) are fixed."""

    def __init__(
        self,
        base: Base,
        branch: MaskBranch,
        prompts: Tensor,
        material: Material,
        latents: Latents,
        params: SeaSParams,
        device: torch.device,
    ) -> None:
        self.unet, self.vae, self.branch, self.prompts = base.unet, base.vae, branch, prompts
        self.material, self.latents, self.params, self.device = material, latents, params, device
        self.shares = signal_shares(base.schedule).to(device)

    def loss(self, poses: Sequence[Pose], noise: Tensor, times: Tensor, jitter: Tensor) -> Tensor:
        """Eq. 7 for these poses, the abnormal ones first."""
        params, count = self.params, sum(pose.kind >= 0 for pose in poses)
        precision = DTYPES[params.precision]
        with torch.autocast(self.device.type, precision, enabled=params.precision != "fp32"):
            coarse_in, fine = self.features(poses, noise, times, jitter, count)
            coarse, logits = self.branch.coarse_logits(coarse_in)
            refined = self.branch.refined_logits(coarse[:count], logits[:count], fine, self.material.side)
        mask = self.latents.masks(poses[:count])
        small = pooled_mask(mask, logits.shape[2], logits.shape[2])
        return mask_loss(
            logits[:count],
            refined,
            small,
            mask,
            logits[count:],
            gamma=params.focal_gamma,
            coarse_supervision=params.coarse_supervision,
        )

    @torch.no_grad()
    def features(
        self, poses: Sequence[Pose], noise: Tensor, times: Tensor, jitter: Tensor, count: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Features of the U-Net for all poses, and of the VAE for the first `count`, the abnormal ones."""
        shares = self.shares[times].float()
        noisy = noised(self.latents.draw(poses, jitter), noise, shares)
        kinds = torch.tensor([pose.kind for pose in poses], device=self.device) % len(self.prompts)
        predicted, coarse = noise_and_features(
            self.unet, self.params.mask_features, noisy, times, self.prompts[kinds]
        )
        # At sampling there is no clean latent but the predicted one.
        clean = predicted_clean(noisy[:count], predicted[:count].float(), shares[:count])
        _, fine = fine_features(self.params.fine_features, self.vae, clean)
        return coarse, fine

    def batch(self, ctx: Context, index: int) -> tuple:
        """Poses, noise, times and jitter of batch `index`, by a stream of its own."""
        rng = ctx.rng(f"mask/{self.material.stream}", index)
        normal = self.params.normal_batch * self.params.normal_supervision
        poses = draw(self.material, self.params, rng, self.params.abnormal_batch, normal)
        noise, jitter = (
            latent_noise(rng, len(poses), self.vae, self.material.side, self.device) for _ in range(2)
        )
        times = torch.from_numpy(rng.integers(self.params.mask_time + 1, size=len(poses))).to(self.device)
        return poses, noise, times, jitter


def mask_fit(training: MaskTraining, ctx: Context, owner: str, part: FitPart, steps: int) -> Fit:
    """The fit of the mask branch."""
    params, branch = training.params, training.branch
    training.unet.requires_grad_(False).eval().zero_grad(set_to_none=True)
    branch.requires_grad_(True).train()
    groups = [{"params": list(branch.parameters()), "lr": params.mask_learning_rate}]
    optimizer = make_optimizer(params.optimizer, groups, params.weight_decay)

    def step(index: int) -> Losses:
        optimizer.zero_grad(set_to_none=True)
        loss = training.loss(*training.batch(ctx, index))
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    return Fit(owner, steps, step, {"branch": branch}, {"optimizer": optimizer}, part=part, remedy=REMEDY)
