"""One product from its images to a model folder.

Folder: `product.json` (the defect types of each part in the order of their tokens, and the rows of the normal
images that were learned from); per part `unet.safetensors`, `words.safetensors` (the new token rows),
`mask.safetensors`, `trace.csv` and `mask_trace.csv` (what each step saw).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from bench.methods import CategoryTrain
from bench.methods.context import Context
from bench.methods.training import FitPart, Losses, run_fit
from generators.seas.base import DTYPES, Base, TextSide, load_base
from generators.seas.fine_tuning import FineTuning, fine_tuning_fit
from generators.seas.mask_training import MaskTraining, build_branch, mask_fit
from generators.seas.material import Latents, Material, choose_normals, gather
from generators.seas.params import SeaSParams
from generators.seas.prompts import Prompts, typical, unbalanced


def prompts_for(params: SeaSParams, category: str, types: int) -> Prompts:
    """The prompts of a product with so many defect types."""
    if params.prompt == "typical":
        return typical(category, types)
    return unbalanced(types, params.normal_tokens, params.anomaly_tokens, params.commas)


def parts_of(params: SeaSParams, types: Sequence[str]) -> list[list[str]]:
    """The defect types that share one U-Net: all of a product, or each alone."""
    if params.one_model_per == "product" or not types:
        return [list(types)]
    return [[defect] for defect in types]


def fit_product(
    owner: str, params: SeaSParams, category: CategoryTrain, folder: Path, out: Path, ctx: Context
) -> None:
    """Learn the U-Net, the token rows and the mask branch of one product and write them into `out`."""
    parts = parts_of(params, sorted(category.anomalies))
    out.mkdir(parents=True, exist_ok=True)
    normal = choose_normals(category, params, ctx, owner)
    (out / "product.json").write_text(json.dumps({"parts": parts, "normal": normal}))
    total = sum(max(1, len(part)) * (params.steps_per_type + params.mask_steps_per_type) for part in parts)
    done = 0
    for number, part in enumerate(parts):
        with ctx.torch_stream("loading"):
            base = load_base(folder)
        folder_of_part = out / str(number)
        folder_of_part.mkdir(exist_ok=True)
        material = gather(category, part, normal, params, owner)
        name = f"{category.name}-{number}"
        done += _fit_part(owner, params, material, base, folder_of_part, name, ctx, done, total)


def _fit_part(
    owner: str,
    params: SeaSParams,
    material: Material,
    base: Base,
    out: Path,
    name: str,
    ctx: Context,
    done: int,
    total: int,
) -> int:
    device = torch.device(ctx.device)
    types = material.types
    prompts = prompts_for(params, material.category.name, len(types))
    for module in (base.unet, base.vae, base.text_encoder):
        module.to(device)
    if device.type == "cuda":  # convolutions at half precision are fastest so
        base.unet.to(memory_format=torch.channels_last)
        base.vae.to(memory_format=torch.channels_last)
    base.vae.requires_grad_(False)
    text = TextSide(base, prompts, params.learned_tokens == "all").to(device)
    latents = Latents(base.vae, material, device)
    steps = params.steps_per_type * max(1, len(types))
    tuning = FineTuning(base, text, prompts, material, latents, params, device)
    fit = fine_tuning_fit(tuning, ctx, owner, FitPart(f"{name}-unet", done, total), steps)
    write_trace(out / "trace.csv", run_fit(fit, ctx))
    dtype = DTYPES[params.sampling_precision]
    write_weights(base.unet, out / "unet.safetensors", dtype)
    write_weights(text.words, out / "words.safetensors", torch.float32)
    if not types:
        return steps
    with ctx.torch_stream("mask"):
        branch = build_branch(base, params).to(device)
    with torch.no_grad():
        embedded = text(tuning.ids)
    training = MaskTraining(base, branch, embedded, material, latents, params, device)
    mask_steps = params.mask_steps_per_type * len(types)
    fit = mask_fit(training, ctx, owner, FitPart(f"{name}-mask", done + steps, total), mask_steps)
    write_trace(out / "mask_trace.csv", run_fit(fit, ctx))
    write_weights(branch, out / "mask.safetensors", torch.float32)
    return steps + mask_steps


def write_weights(module: nn.Module, path: Path, dtype: torch.dtype) -> None:
    """The parameters of a module as safetensors."""
    state = module.state_dict()
    save_file({name: value.detach().to("cpu", dtype).contiguous() for name, value in state.items()}, path)


def write_trace(path: Path, trace: Sequence[Losses]) -> None:
    """One row per step; what a step did not have stays empty."""
    names = list(dict.fromkeys(name for losses in trace for name in losses))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", *names])
        for number, losses in enumerate(trace, start=1):
            writer.writerow([number, *(f"{losses[name]:.6g}" if name in losses else "" for name in names)])
