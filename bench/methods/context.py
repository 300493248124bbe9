"""What a running adapter is given beside its data: seed, streams, device, scratch, progress, deadline."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.streams import stream, stream_seed


def _no_progress(done: int, total: int, note: str = "") -> None:
    return None


def _no_validation(model: Path) -> float | None:
    return None


@dataclass(frozen=True)
class Context:
    """The surroundings of one task. Nothing in it leads to a test image."""

    seed: int
    stage: str
    adapter: str
    category: str
    """The category of the task, "" where one task covers all categories."""
    device: str
    """A torch device: "cpu", "cuda:0"."""
    scratch: Path
    """A folder that survives a kill and belongs to this task alone: checkpoints of a long fit live here."""
    weights: Path | None = None
    """Folder of local weight files, or None."""
    deadline: float | None = None
    """`time.monotonic()` of this process after which the task will be stopped, or None. No clock that a
    person can set decides."""
    frugal: bool = False
    """Whether memory is short: the task was killed for want of it and is begun again. What an adapter then
    does with less must come to the same bytes; it says by `frugal` of its class where it can."""
    progress: Callable[..., None] = _no_progress
    """`progress(done, total, note="")`; cheap, call it every step."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("bench"))
    validate: Callable[[Path], float | None] = _no_validation
    """`validate(model_folder)`: the harness's score of a model, higher is better, over images that the
    protocol chose and the adapter never sees; None where the protocol keeps the last checkpoint."""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, below 0 after it; None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has come: a long fit then keeps a checkpoint and stops with a sentence."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def rng(self, name: str, index: int | None = None) -> np.random.Generator:
        """The named random stream of this task: the same for every input that the task may have."""
        return stream(self.seed, self.stage, self.adapter, self.category, name, index)

    @contextmanager
    def torch_stream(self, name: str, index: int | None = None) -> Iterator[None]:
        """Inside, torch's global generators are this named stream; outside they are untouched.

        For code that draws from torch's global state and offers no generator: layer initialisation, dropout.
        """
        import torch

        names = (self.seed, self.stage, self.adapter, self.category, name, index)
        devices = [torch.device(self.device)] if self.device.startswith("cuda") else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(stream_seed(*names) % 2**63)
            yield
