"""What the supervised detectors share: their training parameters, fit and predict.

Nothing here loads torch: the planner reads names, parameters and presets of every adapter.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from bench.methods import Batch, Detector, DetectorSplit, Params, Prediction
from bench.methods.context import Context

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

BatchSize = Annotated[int, Field(ge=1, description="examples a step")]
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

    batch_size: int = Field(default=4, ge=2, description="examples a step; batch norm needs two")
    learning_rate: LearningRate = 0.01
    optimizer: Optimizer = "sgd"
    weight_decay: WeightDecay = 5e-4
    schedule: Schedule = "poly"
    loss: Loss = "cross_entropy"
    iterations: int = Field(default=80_000, ge=1, description="steps")
    validation_interval: int = Field(
        default=8_000, ge=1, description="steps between models that the harness may choose from"
    )


@dataclass(frozen=True)
class Plan:
    """How long one fit trains, and on what. `epoch` (steps) is how often a model is offered for selection."""

    steps: int
    epoch: int
    anomalies_only: bool = False
    horizon: int | None = None
    """Steps that the learning rate's schedule spans, where training ends before it; None: `steps`."""


def epochs_plan(samples: int, epochs: int, batch_size: int, anomalies_only: bool = False) -> Plan:
    """The plan of `epochs` epochs of `samples` examples; a last, smaller batch is filled up."""
    epoch = -(-samples // batch_size)
    return Plan(epoch * epochs, epoch, anomalies_only)


def iterations_plan(params: Schedule80kParams) -> Plan:
    """The plan of `iterations` steps, a model every `validation_interval` of them."""
    return Plan(params.iterations, min(params.validation_interval, params.iterations))


class Supervised(Detector):
    """A network trained by gradient descent on the examples of a DetectorSplit.

    Model folder: `model.safetensors`, `params.json`, `classes.json`, `trace.csv` (step, loss, learning
    rate) and `selection.json` (which epoch was kept, and the scores it was chosen by).
    """

    modality = "rgb"
    scope: ClassVar[Literal["dataset", "category"]] = "category"
    frugal = frozenset({"fit"})
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    """Images in [0, 1] are normalised to (image - mean) / std; the default leaves them as they are."""
    Params: ClassVar[type[TrainingParams]]
    params: TrainingParams

    @abstractmethod
    def plan(self, data: DetectorSplit) -> Plan:
        """How long to train on `data`."""

    @abstractmethod
    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        """The network, images float32 (B, 3, H, W) to logits: (B, 2, H, W), or (B, classes).

        It has its initial weights if `pretrained`, which may read files of the folder `weights`; a network
        about to be filled from a model folder is built with `pretrained` false. In training mode it may
        return a list of logits, the first of which is the output.
        """

    @property
    def normalisation(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Mean and standard deviation (RGB, images in [0, 1])."""
        return self.mean, self.std

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Train on `data`, write the model into `out`; goes on from `ctx.scratch` after a kill."""
        from detectors.training import train

        train(self, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Anomaly maps in [0, 1] (segmentation) or logits (classification), a batch at a time."""
        from detectors.inference import infer

        # The folder knows what it was trained with; the caller's parameters might differ.
        return infer(self.stored(model), model, images, ctx)

    @classmethod
    def stored(cls, model: Path) -> Self:
        """This adapter with the parameters that the model in `model` was trained with."""
        return cls(cls.Params.model_validate_json((model / "params.json").read_text()))


def as_prediction(task: str, values: np.ndarray) -> Prediction:
    """The Prediction of a network's output: maps of a segmenter, logits of a classifier."""
    return Prediction(logits=values) if task == "classification" else Prediction(amap=values)
