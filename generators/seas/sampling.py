"""Inference (3.4): from noised normal images to anomalous images with masks, and to normal images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler
from safetensors.torch import load_file
from torch import Tensor

from bench.data.images import resize_image
from bench.errors import BenchError
from bench.methods import CategoryTrain, Request, Sample
from bench.methods.context import Context
from bench.metrics.masks import prepare_masks
from generators.seas.base import DTYPES, Base, TextSide, load_base
from generators.seas.features import decode, fine_features, noise_and_features
from generators.seas.fitting import prompts_for
from generators.seas.mask_training import Branch, build_branch
from generators.seas.material import as_input, latent_noise
from generators.seas.noising import noised, predicted_clean, signal_shares
from generators.seas.params import SeaSParams

ATTEMPTS = 3
"""With empty_masks=redraw: draws for an image before a mask that is empty is taken at a lower threshold."""
LEAST_SHARE = 1e-3
"""Share of the pixels that such a mask gets: the most probable ones."""


class Made(NamedTuple):
    """A batch of images in [-1, 1] (B, 3, H, W) and, for anomalies, mean mask probabilities (B, H, W)."""

    images: Tensor
    probabilities: Tensor | None


def solver(schedule: Mapping[str, Any], params: SeaSParams) -> Any:
    """DPM-Solver of second order with its times set, on the schedule of the base model."""
    scheduler: Any = DPMSolverMultistepScheduler.from_config(
        dict(schedule), final_sigmas_type=params.solver_end
    )
    scheduler.set_timesteps(params.sampling_steps, device="cpu")
    return scheduler


class Sampler:
    """A fine-tuned model that makes batches; `prompt` and `empty` are text embeddings (1, Z, C1)."""

    def __init__(
        self,
        base: Base,
        branch: Branch | None,
        prompt: Tensor,
        empty: Tensor,
        params: SeaSParams,
        device: torch.device,
    ) -> None:
        self.unet, self.vae, self.branch = base.unet, base.vae, branch
        self.params, self.device = params, device
        self.dtype = DTYPES[params.sampling_precision]
        self.prompts = torch.cat([empty, prompt]).to(device, self.dtype)
        self.schedule = base.schedule
        self.shares = signal_shares(base.schedule)
        # Its own module: the hooks of the last steps would break the graph.
        self.fast = torch.compile(self.unet) if params.compiled else self.unet

    def start(self, images: np.ndarray, noise: Tensor) -> Tensor:
        """Initial latents: normal images uint8 [B, H, W, 3], noised to `start_step` (3.4, A.3).

        A start step beyond the training schedule is that of a longer one, made for this alone.
        """
        latents = self.vae.encode(as_input(images, self.vae)).latent_dist.mode().float()
        if self.params.scale_start:
            latents = latents * self.vae.config.scaling_factor
        steps = max(self.params.start_step, int(self.schedule["num_train_timesteps"]))
        share = signal_shares(self.schedule, steps)[self.params.start_step - 1]
        return noised(latents, noise, float(share))

    @torch.inference_mode()
    def make(self, starts: np.ndarray, noise: Tensor) -> Made:
        """Denoise a batch from noised normal images; with a mask branch, the last steps give the mask."""
        params = self.params
        scheduler = solver(self.schedule, params)
        latents = self.start(starts, noise)
        sums: Tensor | None = None
        image: Tensor | None = None
        first = len(scheduler.timesteps) - params.mask_steps if self.branch is not None else None
        for number, time in enumerate(scheduler.timesteps):
            watched = first is not None and number >= first
            predicted, coarse = self._predict(latents, time, watched)
            if watched:
                assert self.branch is not None
                viewed = latents
                if params.mask_latents == "clean":
                    viewed = predicted_clean(latents, predicted, float(self.shares[int(time)]))
                image, fine = fine_features(params.fine_features, self.vae, viewed.to(self.dtype))
                probabilities = self._probabilities(coarse, fine)
                sums = probabilities if sums is None else sums + probabilities
            latents = scheduler.step(predicted, time, latents).prev_sample
        # Without noise at its end the solver ends at the clean latents that were just decoded.
        if image is None or params.mask_latents != "clean" or params.solver_end != "zero":
            image, _ = decode(self.vae, latents.to(self.dtype))
        return Made(image.float(), None if sums is None else sums / params.mask_steps)

    def _predict(self, latents: Tensor, time: Tensor, watched: bool) -> tuple[Tensor, list[Tensor]]:
        """The guided noise, float32, and the U-Net's features for the prompt if they are watched."""
        count = len(latents)
        twice = torch.cat([latents, latents]).to(self.dtype)
        prompts = self.prompts.repeat_interleave(count, dim=0)
        times = time.to(self.device).expand(2 * count)
        if watched:
            noise, features = noise_and_features(self.unet, self.params.mask_features, twice, times, prompts)
            features = [feature[count:] for feature in features]
        else:
            noise, features = self.fast(twice, times, encoder_hidden_states=prompts).sample, []
        empty, guided = noise.float().chunk(2)
        return empty + self.params.guidance * (guided - empty), features

    def _probabilities(self, coarse: list[Tensor], fine: list[Tensor]) -> Tensor:
        assert self.branch is not None
        _, logits = self.branch(coarse, fine, self.params.side)
        return logits.float().softmax(dim=1)[:, 1]  # (B, side, side)


def sample_product(
    params: SeaSParams,
    model: Path,
    category: CategoryTrain,
    request: Request,
    folder: Path,
    resolution: int,
    ctx: Context,
) -> Iterator[Sample]:
    """The images of the request, at `resolution`, made in the groups that their indices fall into."""
    product = json.loads((model / "product.json").read_text())
    sampler = load_sampler(params, model, product["parts"], category.name, request.defect, folder, ctx)
    size = params.sampling_batch
    requested = set(request.indices)
    ready: dict[int, Sample] = {}
    for index in request.indices:
        if index not in ready:
            first = index - index % size
            group = range(first, first + size)
            ready = _group(
                sampler, category, product["normal"], group, requested, request.defect, resolution, ctx
            )
        yield ready[index]


def _group(
    sampler: Sampler,
    category: CategoryTrain,
    normal: Sequence[int],
    indices: range,
    requested: set[int],
    defect: str,
    resolution: int,
    ctx: Context,
) -> dict[int, Sample]:
    """The wanted samples of one batch. The whole batch is made: in another an image has other bits."""
    params = sampler.params
    done: dict[int, Sample] = {}
    for attempt in range(ATTEMPTS):
        rngs = [ctx.rng(f"sample/{defect}/{attempt}", index) for index in indices]
        if params.start_images == "drawn":
            rows = [normal[int(rng.integers(len(normal)))] for rng in rngs]
        else:
            rows = [normal[row % len(normal)] for row in range(len(indices))]
        starts = np.stack([_sized(category.normal[row], params.side) for row in rows])
        noise = torch.cat([latent_noise(rng, 1, sampler.vae, params.side, sampler.device) for rng in rngs])
        batch = sampler.make(starts, noise)
        for row, index in enumerate(indices):
            if index in done or index not in requested:
                continue
            image = _sized(as_pixels(batch.images[row]), resolution)
            if batch.probabilities is None:
                done[index] = Sample(image)
                continue
            probability = batch.probabilities[row].cpu().numpy()
            mask = probability > params.threshold
            if params.empty_masks == "redraw" and not mask.any() and attempt == ATTEMPTS - 1:
                ctx.log.warning("%s/%s %d: no pixel above the threshold", category.name, defect, index)
                mask = probability >= np.quantile(probability, 1 - LEAST_SHARE)
            if params.empty_masks == "keep" or mask.any():
                done[index] = Sample(image, sized_mask(mask, resolution))
        if all(index in done for index in indices if index in requested):
            break
    return done


def load_sampler(
    params: SeaSParams,
    model: Path,
    parts: Sequence[Sequence[str]],
    category: str,
    defect: str,
    folder: Path,
    ctx: Context,
) -> Sampler:
    """The fine-tuned model for one defect type of a product, or for its normal images ("good")."""
    number = 0 if defect == "good" else next((i for i, part in enumerate(parts) if defect in part), None)
    if number is None:
        raise BenchError(
            f"this model has not learned '{defect}' of '{category}', only "
            f"{', '.join(name for part in parts for name in part)}; fit it on that type"
        )
    device, part = torch.device(ctx.device), model / str(number)
    dtype = DTYPES[params.sampling_precision]
    with ctx.torch_stream("loading"):
        base = load_base(folder)
        types = parts[number]
        prompts = prompts_for(params, category, len(types))
        text = TextSide(base, prompts, params.learned_tokens == "all").to(device)
        branch = None if defect == "good" else build_branch(base, params)
    text.words.load_state_dict(load_file(part / "words.safetensors"))
    base.unet.load_state_dict(load_file(part / "unet.safetensors"))
    base.unet.to(device, dtype, memory_format=torch.channels_last)
    base.vae.to(device, dtype)
    if branch is not None:
        branch.load_state_dict(load_file(part / "mask.safetensors"))
        branch.to(device, dtype).eval()
    prompt = prompts.normal if branch is None else prompts.abnormal[types.index(defect)]
    with torch.no_grad():
        empty, embedded = text(text.ids(["", prompt.text]).to(device)).chunk(2)
    return Sampler(base, branch, embedded, empty, params, device)


def as_pixels(image: Tensor) -> np.ndarray:
    """(3, H, W) in [-1, 1] to uint8 [H, W, 3]."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def sized_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask at another size, where it keeps at least the pixels that it covers most."""
    if not mask.any():
        return np.zeros((side, side), dtype=bool)
    return prepare_masks(mask, side, rule="half-or-most")


def _sized(image: np.ndarray, side: int) -> np.ndarray:
    return image if image.shape[0] == side else resize_image(image, side)
