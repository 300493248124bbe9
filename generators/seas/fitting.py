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
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import nn

from bench.methods import CategoryTrain
from bench.methods.context import Context
from generators.seas.base import DTYPES, Base, TextSide, load_base
from generators.seas.fine_tuning import FineTuning, fine_tuning_stage
from generators.seas.loop import train
from generators.seas.mask_training import MaskTraining, build_branch, mask_stage
from generators.seas.material import Latents, Material, choose_normals, gather
from generators.seas.params import SeaSParams
from generators.seas.prompts import Prompts, typical, unbalanced

if TYPE_CHECKING:
    from generators.seas.adapter import SeaS


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


def fit_product(adapter: SeaS, category: CategoryTrain, folder: Path, out: Path, ctx: Context) -> None:
    """Learn the U-Net, the token rows and the mask branch of one product and write them into `out`."""
    params = adapter.params
    parts = parts_of(params, sorted(category.anomalies))
    out.mkdir(parents=True, exist_ok=True)
    normal = choose_normals(category, params, ctx, adapter.name)
    (out / "product.json").write_text(json.dumps({"parts": parts, "normal": normal}))
    total = sum(max(1, len(part)) * (params.steps_per_type + params.mask_steps_per_type) for part in parts)
    done = 0
    for number, part in enumerate(parts):
        with ctx.torch_stream("loading"):
            base = load_base(folder)
        place = out / str(number)
        place.mkdir(exist_ok=True)
        material = gather(category, part, normal, params, adapter.name)
        done += _fit_part(adapter, material, base, place, f"{category.name}-{number}", ctx, done, total)


def _fit_part(
    adapter: SeaS,
    material: Material,
    base: Base,
    out: Path,
    name: str,
    ctx: Context,
    done: int,
    total: int,
) -> int:
    params, device = adapter.params, torch.device(ctx.device)
    types = material.types
    prompts = prompts_for(params, material.category.name, len(types))
    for module in (base.unet, base.vae, base.text_encoder):
        module.to(device)
    if device.type == "cuda":  # convolutions at half precision are fastest so
        base.unet.to(memory_format=torch.channels_last)
        base.vae.to(memory_format=torch.channels_last)
    base.vae.requires_grad_(False)
    text = TextSide(base, prompts).to(device)
    latents = Latents(base.vae, material, device)
    steps = params.steps_per_type * max(1, len(types))
    tuning = FineTuning(base, text, prompts, material, latents, params, device)
    seen = train(fine_tuning_stage(tuning, ctx, f"{name}-unet", steps), ctx, adapter.name, done, total)
    write_trace(out / "trace.csv", seen)
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
    stage = mask_stage(training, ctx, f"{name}-mask", mask_steps)
    write_trace(out / "mask_trace.csv", train(stage, ctx, adapter.name, done + steps, total))
    write_weights(branch, out / "mask.safetensors", torch.float32)
    return steps + mask_steps


def write_weights(module: nn.Module, path: Path, dtype: torch.dtype) -> None:
    """The parameters of a module as safetensors."""
    state = module.state_dict()
    save_file({name: value.detach().to("cpu", dtype).contiguous() for name, value in state.items()}, path)


def write_trace(path: Path, seen: Sequence[dict[str, float]]) -> None:
    """One row a step; what a step did not have stays empty."""
    names = list(dict.fromkeys(name for values in seen for name in values))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", *names])
        for number, values in enumerate(seen, start=1):
            writer.writerow([number, *(f"{values[name]:.6g}" if name in values else "" for name in names)])
