"""The model folder of a trained network: its last state, or that of the epoch which the harness chose."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.methods.context import Context
from bench.methods.training.loop import Fit, HasState, Losses, run_fit

if TYPE_CHECKING:
    from torch import nn

MODEL, BEST = "model.safetensors", "best.safetensors"


@dataclass
class Scores:
    """The harness's scores of the epochs so far. As a part of a fit's state it survives a kill."""

    scores: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    """From 1; None where no score was given."""
    is_asked_for: bool = True
    """False once the harness has answered that it scores nothing."""

    def state_dict(self) -> dict[str, Any]:
        return vars(self)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        vars(self).update(state_dict)

    def add(self, score: float) -> bool:
        """Whether this epoch is the best so far: NaN is never higher, and of a tie the earlier one stays."""
        best = -math.inf if self.best_epoch is None else self.scores[self.best_epoch - 1]
        is_better = self.best_epoch is None or score > best
        self.scores.append(float(score))
        if is_better:
            self.best_epoch = len(self.scores)
        return is_better


def train_model(
    fit: Fit,
    network: nn.Module,
    out: Path,
    ctx: Context,
    *,
    epoch: int,
    learning_rate: Callable[[int], float],
    settle: Callable[[], None] = lambda: None,
) -> None:
    """Run the fit of a network and write `model.safetensors`, `selection.json` and `trace.csv` into `out`.

    Every `epoch` steps the model is written and offered to the harness, which may score it; the best one is
    kept. `settle` is called before a model is written: what the network needs to be used rather than trained.
    `learning_rate` is that of a step, for the trace. Raises what `run_fit` raises.
    """
    scores = Scores()
    best = ctx.scratch / BEST
    out.mkdir(parents=True, exist_ok=True)

    def offer(trace: Sequence[Losses]) -> None:
        is_epoch = len(trace) % epoch == 0 or len(trace) == fit.steps
        if not (is_epoch and scores.is_asked_for):
            return
        settle()
        write_model(network, out)
        score = ctx.validate(out)
        if score is None:
            scores.is_asked_for = False
        elif scores.add(score):
            shutil.copyfile(out / MODEL, best.with_suffix(".part"))
            best.with_suffix(".part").replace(best)

    state: dict[str, HasState] = {"network": network, "scores": scores, **fit.state}
    trace = run_fit(replace(fit, state=state, after_step=offer), ctx)
    settle()
    if scores.best_epoch is None:
        write_model(network, out)
    else:
        shutil.copyfile(best, out / MODEL)
    _write_selection(scores, -(-fit.steps // epoch), out)
    _write_trace(trace, learning_rate, out)


def write_model(network: nn.Module, out: Path) -> None:
    """Write the network's tensors as `model.safetensors`."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, out / MODEL)


def _write_selection(scores: Scores, epochs: int, out: Path) -> None:
    best = scores.best_epoch
    selection = {
        "rule": "last" if best is None else "best score of the harness",
        "epoch": epochs if best is None else best,
        "score": None if best is None else scores.scores[best - 1],
        "scores": scores.scores,
    }
    (out / "selection.json").write_text(json.dumps(selection, indent=1))


def _write_trace(trace: Sequence[Losses], learning_rate: Callable[[int], float], out: Path) -> None:
    rows = ["step,loss,learning_rate"]
    rows += [f"{i + 1},{losses['loss']:.6g},{learning_rate(i):.6g}" for i, losses in enumerate(trace)]
    (out / "trace.csv").write_text("\n".join(rows) + "\n")


def recalibrate(network: nn.Module, count: int, forward: Callable[[int], object]) -> None:
    """Set the running statistics of batch norm to their plain means over `count` training batches.

    After a few dozen steps running means still hold early, wrong values, and maps at prediction are flat.
    `forward` passes the batch of an index through the network, without gradients.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
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
