"""The state of an unfinished fit, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from detectors.fitting import HasState

NAME = "checkpoint.pt"


@dataclass(frozen=True)
class Progress:
    """How far a fit is: steps done, the loss of each, and the scores of its epochs if it has any."""

    step: int = 0
    losses: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    best_epoch: int | None = None
    """From 1; None where no score was given."""
    selects: bool = True
    """False once the harness has answered that it scores nothing."""

    def after_step(self, loss: float) -> Progress:
        return replace(self, step=self.step + 1, losses=(*self.losses, loss))

    def is_better(self, score: float) -> bool:
        """True for a first score and for a higher one; NaN is never higher, and a tie keeps the earlier."""
        best = -math.inf if self.best_epoch is None else self.scores[self.best_epoch - 1]
        return self.best_epoch is None or score > best

    def after_epoch(self, score: float | None) -> Progress:
        if score is None:
            return replace(self, selects=False)
        best = len(self.scores) + 1 if self.is_better(score) else self.best_epoch
        return replace(self, scores=(*self.scores, float(score)), best_epoch=best)


def save_checkpoint(folder: Path, network: nn.Module, optimizer: HasState, done: Progress) -> None:
    """Write the state of a fit into `folder`, in the place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{NAME}.part"
    torch.save(
        {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "progress": vars(done)}, part
    )
    part.replace(folder / NAME)


def load_checkpoint(folder: Path, network: nn.Module, optimizer: HasState, device: str) -> Progress:
    """Put the state in `folder` into the network and the optimizer; the beginning where there is none."""
    path = folder / NAME
    if not path.exists():
        return Progress()
    state = torch.load(path, map_location=device, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])
