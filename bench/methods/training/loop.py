"""One training loop for every method that learns by steps: checkpoints, deadline, progress, losses checked.

A step is a function of its index and of the state before it: what it draws comes from named streams
(`ctx.rng("batch", index)`) and its learning rate from its index (`schedules`). So a fit that was killed goes
on from its last checkpoint to the same bytes as one that was not. Nothing here loads torch before a fit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from bench.errors import BenchError
from bench.methods.context import Context
from bench.methods.training.spill import spilled

CHECKPOINT_SECONDS = 60.0
"""Time between checkpoints. Where one takes long to write, a fit states more."""
Losses = Mapping[str, float]
"""What a step reports, by name."""
Batch = TypeVar("Batch")


class TrainingFailed(BenchError):
    """Training cannot go on: what happened, at which step, and what to change."""


class OutOfTime(BenchError):
    """The deadline came before the end; the checkpoint in the scratch folder keeps what was done."""


class HasState(Protocol):
    """A network, an optimizer, or anything else that a step changes."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


@dataclass(frozen=True)
class FitPart:
    """The position of a fit among several of one task, which share its scratch folder and its progress."""

    name: str
    """Of the checkpoint, in messages and in progress."""
    before: int
    """Steps of the parts before this one."""
    total: int
    """Steps of all parts."""


@dataclass(frozen=True)
class Fit:
    """What the loop needs to know of one fit."""

    name: str
    """Of the method, for messages."""
    steps: int
    step: Callable[[int], Losses]
    """Takes the step of this index and returns its losses, the first of which is reported."""
    state: Mapping[str, HasState]
    """All that steps change and that is used later: networks above all."""
    optimizers: Mapping[str, HasState]
    """All that steps change and that nobody needs after the last one."""
    after_step: Callable[[Sequence[Losses]], None] = lambda trace: None
    """Called with the losses of all steps so far; may raise TrainingFailed."""
    part: FitPart | None = None
    remedy: str = "lower its learning rate"
    """What to change where a loss is not finite."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS


def run_fit(fit: Fit, ctx: Context) -> list[Losses]:
    """Take all steps, from the checkpoint in `ctx.scratch` on; returns the losses of each, in order.

    Raises TrainingFailed where a loss is not finite, OutOfTime at the deadline, and whatever `ctx.progress`
    raises. A checkpoint is kept at such an end, every `checkpoint_seconds`, and at the end of a part.
    """
    part = fit.part or FitPart("", 0, fit.steps)
    path = ctx.scratch / f"{part.name or 'fit'}.checkpoint"
    trace = _resume(fit, path)
    checkpoints = Checkpoints(fit.name, ctx, lambda: _save(fit, path, trace), fit.checkpoint_seconds)
    while len(trace) < fit.steps:
        with spilled(ctx):
            losses = fit.step(len(trace))
        number = part.before + len(trace) + 1
        _check_finite(fit, losses, f"step {number} of {part.total}{_clause(part.name)}")
        trace.append(losses)
        fit.after_step(trace)
        name, value = next(iter(losses.items()))
        checkpoints.after(number, part.total, f"{part.name} {name} {value:.3f}".strip(), part.name)
    if fit.part:
        _save(fit, path, trace)
    return trace


@dataclass
class Checkpoints:
    """Progress, deadline and checkpoints of work that is done in steps of any kind.

    `save` is called when the last checkpoint is `seconds` old, and before whatever ends the work early.
    """

    owner: str
    """The method, for messages."""
    ctx: Context
    save: Callable[[], None]
    seconds: float = CHECKPOINT_SECONDS
    saved_at: float = field(default_factory=lambda: time.monotonic())

    def after(self, done: int, total: int, note: str, part: str = "") -> None:
        """Report that `done` of `total` steps are done. Raises OutOfTime at the deadline, and whatever
        `ctx.progress` raises."""
        try:
            self.ctx.progress(done, total, note)
            if self.ctx.out_of_time and done < total:
                raise OutOfTime(
                    f"'{self.owner}' reached its deadline at step {done} of {total}{_clause(part)}; "
                    "run it again to go on from there"
                )
        except BaseException:
            self.save()
            raise
        if time.monotonic() - self.saved_at > self.seconds:
            self.save()
            self.saved_at = time.monotonic()


class ReadAhead(Generic[Batch]):
    """The batch of each step; the next step's can be drawn while an accelerator still works on this one."""

    def __init__(self, draw: Callable[[int], Batch]) -> None:
        self._draw = draw
        self._next: tuple[int, Batch] | None = None

    def take(self, step: int) -> Batch:
        ahead, self._next = self._next, None
        return ahead[1] if ahead and ahead[0] == step else self._draw(step)

    def prepare(self, step: int) -> None:
        self._next = (step, self._draw(step))


def _clause(part: str) -> str:
    return f" ({part})" if part else ""


def _check_finite(fit: Fit, losses: Losses, step: str) -> None:
    for name, value in losses.items():
        if not math.isfinite(value):
            loss = "loss" if name == "loss" else f"{name} loss"
            raise TrainingFailed(f"the {loss} of '{fit.name}' is {value} at {step}; {fit.remedy}")


def _save(fit: Fit, path: Path, trace: list[Losses]) -> None:
    """Write the state of a fit in the place of the one before; a kill at any moment leaves a whole one."""
    import torch

    ended = len(trace) == fit.steps
    content = {
        "state": {name: part.state_dict() for name, part in fit.state.items()},
        "optimizers": {} if ended else {name: part.state_dict() for name, part in fit.optimizers.items()},
        "trace": [dict(losses) for losses in trace],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    torch.save(content, partial)
    partial.replace(path)


def _resume(fit: Fit, path: Path) -> list[Losses]:
    """Put the checkpoint, if there is one, into what the fit changes; returns the losses of its steps."""
    if not path.exists():
        return []
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in fit.state.items():
        part.load_state_dict(content["state"][name])
    if len(content["trace"]) < fit.steps:
        for name, part in fit.optimizers.items():
            part.load_state_dict(content["optimizers"][name])
    return content["trace"]
