"""One loop for every detector that learns by steps: checkpoints, deadline, selection, the model folder.

A step is a function of its index and of the state before it: its batch, its augmentation, its dropout and
its learning rate come from named streams and pure schedules. So a fit that was killed goes on from its last
checkpoint to the same bytes as one that was not.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from safetensors.torch import save_file
from torch import nn

from bench.methods.context import Context
from bench.methods.training.spill import spilled
from detectors.checkpoint import Progress, load_checkpoint, save_checkpoint

CHECKPOINT_SECONDS = 60.0
Drawn = TypeVar("Drawn")


class TrainingFailed(RuntimeError):
    """Training cannot go on: what happened, at which step, and what to change."""


class OutOfTime(RuntimeError):
    """The deadline came before the end; the checkpoint in the scratch folder keeps what was done."""


class HasState(Protocol):
    """An optimizer, or several that are kept together."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class ReadAhead(Generic[Drawn]):
    """What each step is given; the next step's can be drawn while an accelerator still works on this one."""

    def __init__(self, draw: Callable[[int], Drawn]) -> None:
        self._draw = draw
        self._next: tuple[int, Drawn] | None = None

    def take(self, step: int) -> Drawn:
        ahead, self._next = self._next, None
        return ahead[1] if ahead and ahead[0] == step else self._draw(step)

    def prepare(self, step: int) -> None:
        self._next = (step, self._draw(step))


@dataclass(frozen=True)
class Fit:
    """What the loop needs to know of one fit."""

    name: str
    """Of the detector, for messages."""
    network: nn.Module
    """All that is learned, and what `model.safetensors` will hold."""
    optimizer: HasState
    steps: int
    epoch: int
    """Steps between models that are offered for selection."""
    step: Callable[[int], float]
    """Takes the step of this index and returns its loss."""
    settle: Callable[[], None]
    """Called before a model is written: what the network needs to be used rather than trained."""
    learning_rate: Callable[[int], float]
    """Of the step of this index, for the trace."""


def run_fit(fit: Fit, out: Path, ctx: Context) -> None:
    """Take all steps, from the checkpoint in `ctx.scratch` on, and write the model into the folder `out`.

    Writes `model.safetensors`, `selection.json` and `trace.csv`. Raises TrainingFailed where the loss is not
    finite, OutOfTime at the deadline; whatever `ctx.progress` raises passes through, a checkpoint is kept.
    """
    done = load_checkpoint(ctx.scratch, fit.network, fit.optimizer, ctx.device)
    saved = time.monotonic()
    best = ctx.scratch / "best.safetensors"
    while done.step < fit.steps:
        with spilled(ctx):
            value = fit.step(done.step)
        if not math.isfinite(value):
            raise TrainingFailed(
                f"the loss of '{fit.name}' is {value} at step {done.step + 1} of {fit.steps}; "
                "lower its learning_rate, or use precision=fp32"
            )
        done = done.after_step(value)
        if done.selects and (done.step % fit.epoch == 0 or done.step == fit.steps):
            fit.settle()
            done = _offer(fit, done, out, best, ctx)
        try:
            ctx.progress(done.step, fit.steps, f"loss {value:.3f}")
            _check_deadline(fit, done, ctx)
        except BaseException:
            save_checkpoint(ctx.scratch, fit.network, fit.optimizer, done)
            raise
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save_checkpoint(ctx.scratch, fit.network, fit.optimizer, done)
            saved = time.monotonic()
    fit.settle()
    _finish(fit, done, out, best)


def _offer(fit: Fit, done: Progress, out: Path, best: Path, ctx: Context) -> Progress:
    """Let the harness score the model of this epoch, and keep the best. A protocol that answers None once
    keeps the last model, and is not asked again."""
    _write_model(fit.network, out)
    score = ctx.validate(out)
    if score is not None and done.is_better(score):
        shutil.copyfile(out / "model.safetensors", best.with_suffix(".part"))
        best.with_suffix(".part").replace(best)
    return done.after_epoch(score)


def _check_deadline(fit: Fit, done: Progress, ctx: Context) -> None:
    if ctx.out_of_time and done.step < fit.steps:
        raise OutOfTime(
            f"'{fit.name}' reached its deadline at step {done.step} of {fit.steps}; "
            "run it again to go on from there"
        )


def _write_model(network: nn.Module, out: Path) -> None:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, out / "model.safetensors")


def _finish(fit: Fit, done: Progress, out: Path, best: Path) -> None:
    if done.best_epoch is None:
        _write_model(fit.network, out)
    else:
        shutil.copyfile(best, out / "model.safetensors")
    epochs = -(-fit.steps // fit.epoch)
    selection = {
        "rule": "last" if done.best_epoch is None else "best score of the harness",
        "epoch": epochs if done.best_epoch is None else done.best_epoch,
        "score": None if done.best_epoch is None else done.scores[done.best_epoch - 1],
        "scores": list(done.scores),
    }
    (out / "selection.json").write_text(json.dumps(selection, indent=1))
    rows = ["step,loss,learning_rate"]
    rows += [f"{step + 1},{loss:.6g},{fit.learning_rate(step):.6g}" for step, loss in enumerate(done.losses)]
    (out / "trace.csv").write_text("\n".join(rows) + "\n")


def recalibrate(network: nn.Module, count: int, forward: Callable[[int], object]) -> None:
    """Set the running statistics of batch norm to their plain means over `count` training batches.

    After a few dozen steps running means still hold early, wrong values, and maps at prediction are flat.
    `forward` passes the batch of an index through the network, without gradients.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not count or not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    network.train()
    for index in range(count):
        forward(index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
