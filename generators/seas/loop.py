"""The training loop of both stages, which goes on after a kill to the same bytes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import BenchError
from bench.methods.context import Context
from bench.methods.training.spill import spilled

CHECKPOINT_SECONDS = 600.0
"""A checkpoint of the real U-Net with its optimizer is 10 GB."""


@dataclass(frozen=True)
class Stage:
    """What is learned, and how: step i is a function of i and of the state before it."""

    name: str
    steps: int
    learners: Mapping[str, nn.Module]
    """Modules whose parameters that need gradients are learned."""
    optimizer: torch.optim.Optimizer
    step: Callable[[int], dict[str, float]]
    """Makes step i and returns what it saw: losses, by name, "loss" among them."""


def make_optimizer(kind: str, groups: list[dict[str, Any]], weight_decay: float) -> torch.optim.Optimizer:
    """AdamW with betas 0.9 and 0.999, of one of the kinds of `SeaSParams.optimizer`."""
    if kind == "8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(groups, weight_decay=weight_decay)
    return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=kind == "fused")


def learned(module: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that are learned, by name."""
    return {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}


def train(stage: Stage, ctx: Context, owner: str, before: int, total: int) -> list[dict[str, float]]:
    """Run the steps that are left; returns what each step of the stage saw.

    `before` steps of `total` are done by other stages, for the progress. A stage that ended leaves its result
    in the scratch folder too. Raises BenchError where a loss is no number, or the deadline has come.
    """
    path = ctx.scratch / f"{stage.name}.pt"
    seen = _resume(stage, path)
    saved = time.monotonic()
    while len(seen) < stage.steps:
        index = len(seen)
        with spilled(ctx):
            values = stage.step(index)
        if not math.isfinite(values["loss"]):
            raise BenchError(
                f"the loss of '{owner}' is {values['loss']} at step {index + 1} of {stage.steps} of "
                f"{stage.name}; lower its learning rate, or use precision=fp32"
            )
        seen.append(values)
        try:
            ctx.progress(before + len(seen), total, f"{stage.name} loss {values['loss']:.3f}")
            if ctx.out_of_time and len(seen) < stage.steps:
                raise BenchError(
                    f"'{owner}' reached its deadline at step {len(seen)} of {stage.steps} of {stage.name}; "
                    "run it again to go on from there"
                )
        except BaseException:
            _save(stage, path, seen)
            raise
        if len(seen) == stage.steps or time.monotonic() - saved > CHECKPOINT_SECONDS:
            _save(stage, path, seen)
            saved = time.monotonic()
    return seen


def _save(stage: Stage, path: Path, seen: list[dict[str, float]]) -> None:
    done = len(seen) == stage.steps
    state = {
        "learned": {name: learned(module) for name, module in stage.learners.items()},
        "optimizer": None if done else stage.optimizer.state_dict(),
        "seen": seen,
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _resume(stage: Stage, path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    with torch.no_grad():
        for name, module in stage.learners.items():
            for key, value in learned(module).items():
                value.copy_(state["learned"][name][key])
    if state["optimizer"] is not None:
        stage.optimizer.load_state_dict(state["optimizer"])
    return state["seen"]
