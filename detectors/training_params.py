"""Hyper-parameters of networks that learn by gradient descent, and how long they train. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from bench.methods import Params

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation (RGB, images in [0, 1]) that a network's images are normalised by."""
BatchSize = Annotated[int, Field(ge=1, description="examples per step")]
LearningRate = Annotated[float, Field(gt=0, description="the highest learning rate of the schedule")]
WeightDecay = Annotated[float, Field(ge=0, description="L2 penalty of the optimizer")]
Optimizer = Annotated[Literal["adam", "sgd"], Field(description="adam, or sgd with momentum 0.9")]
Schedule = Annotated[
    Literal["multistep", "poly", "cosine", "one_cycle"],
    Field(
        description="multistep: x0.2 at 80 % and again at 90 % of the epochs; poly: power 0.9 down to 1e-4; "
        "cosine: half a cosine down to 1e-5; "
        "one_cycle: linear rise over the first quarter, then half a cosine down to zero"
    ),
]
Loss = Annotated[
    Literal["focal", "cross_entropy", "ohem", "cross_entropy_dice"],
    Field(
        description="focal: on the softmax; cross_entropy; ohem: cross entropy of the hard pixels; "
        "cross_entropy_dice: cross entropy plus soft Dice of the anomalous class"
    ),
]


class TrainingParams(Params):
    """Hyper-parameters of gradient descent that every supervised detector has."""

    batch_size: BatchSize
    learning_rate: LearningRate
    optimizer: Optimizer
    weight_decay: WeightDecay = 0.0
    schedule: Schedule
    augmentation: Literal["none", "flips", "dihedral"] = Field(
        default="none", description="flips: left-right and up-down; dihedral: flips and quarter turns"
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="bf16: automatic mixed precision; about twice as fast where supported"
    )
    recalibration_batches: int = Field(
        default=0,
        ge=0,
        description="batches over which the statistics of batch norm are averaged anew before a model is "
        "written; 0: as training left them. Runs of few steps need it",
    )


class SegmentationParams(TrainingParams):
    """Hyper-parameters of a segmenter of two classes, normal and anomalous."""

    loss: Loss
    focal_gamma: float = Field(default=2.0, ge=0, description="focusing exponent of the focal loss")
    anomaly_weight: float = Field(
        default=1.0, gt=0, description="weight of anomalous pixels in the loss; normal pixels weigh 1"
    )


class Schedule80kParams(SegmentationParams):
    """MMSegmentation's schedule_80k and the batch of its configurations."""

    batch_size: int = Field(default=4, ge=2, description="examples per step; batch norm needs two")
    learning_rate: LearningRate = 0.01
    optimizer: Optimizer = "sgd"
    weight_decay: WeightDecay = 5e-4
    schedule: Schedule = "poly"
    loss: Loss = "cross_entropy"
    iterations: int = Field(default=80_000, ge=1, description="steps")
    validation_interval: int = Field(
        default=8_000, ge=1, description="steps between models that the harness may choose from"
    )


class AnomalyDiffusionParams(SegmentationParams):
    """The recipe of AnomalyDiffusion's train-localization.py."""

    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1e-4
    optimizer: Optimizer = "adam"
    schedule: Schedule = "multistep"
    loss: Loss = "focal"
    epochs: int = Field(default=200, ge=1, description="epochs")
    epoch_size: int = Field(default=500, ge=1, description="examples per epoch")


@dataclass(frozen=True)
class TrainingSchedule:
    """How long one fit trains, and on what. A model is offered for selection after every `epoch` steps."""

    steps: int
    epoch: int
    anomalies_only: bool = False
    horizon: int | None = None
    """Steps that the learning rate's schedule spans, where training ends before it; None: `steps`."""


def schedule_of_epochs(
    samples: int, epochs: int, batch_size: int, anomalies_only: bool = False
) -> TrainingSchedule:
    """The schedule of `epochs` epochs of `samples` examples; a last, smaller batch is filled up."""
    epoch = -(-samples // batch_size)
    return TrainingSchedule(epoch * epochs, epoch, anomalies_only)


def schedule_of_iterations(params: Schedule80kParams) -> TrainingSchedule:
    """The schedule of `iterations` steps, with a model every `validation_interval` of them."""
    return TrainingSchedule(params.iterations, min(params.validation_interval, params.iterations))
