"""Training that can be killed: equal seeds give equal weights, and a fit goes on from its last checkpoint.

A method that learns by steps, built in or a plug-in, states them as a `Fit` and calls `run_fit`, or
`train_model` where the harness may choose among the models of its epochs. Importing this loads no torch.
"""

from bench.methods.training.determinism import deterministic
from bench.methods.training.loop import (
    CHECKPOINT_SECONDS,
    Checkpoints,
    Fit,
    FitPart,
    Losses,
    OutOfTime,
    ReadAhead,
    TrainingFailed,
    run_fit,
)
from bench.methods.training.schedules import learning_rate
from bench.methods.training.selection import recalibrate, train_model, write_model
from bench.methods.training.spill import spilled

__all__ = [
    "CHECKPOINT_SECONDS",
    "Checkpoints",
    "Fit",
    "FitPart",
    "Losses",
    "OutOfTime",
    "ReadAhead",
    "TrainingFailed",
    "deterministic",
    "learning_rate",
    "recalibrate",
    "run_fit",
    "spilled",
    "train_model",
    "write_model",
]
