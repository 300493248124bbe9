"""LFD, the third segmenter of SeaS's tables and the only one whose code was released.

HUST-SLOW/LFD (MIT), configs/LFD.yaml and models/_LFD.py: stochastic gradient descent with momentum, a cosine
down to 1e-5 over 150 epochs of which the model of the 100th is tested (the 10th on VisA), cross entropy of
hard pixels with weights 1 and 4, ImageNet mean and standard deviation, no augmentation, one model for all
products (which a protocol chooses by its scope).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from bench.methods import DetectorSplit
from detectors.pretrained import HALVES, IMAGENET, missing_embedded, missing_torchvision
from detectors.supervised import Supervised
from detectors.training_params import (
    LearningRate,
    Loss,
    Normalisation,
    Optimizer,
    Schedule,
    SegmentationParams,
    TrainingSchedule,
    WeightDecay,
)

if TYPE_CHECKING:
    from torch import nn


class LFDParams(SegmentationParams):
    """configs/LFD.yaml for MVTec AD."""

    batch_size: int = Field(default=8, ge=2, description="examples per step; batch norm needs two")
    learning_rate: LearningRate = 0.01
    optimizer: Optimizer = "sgd"
    weight_decay: WeightDecay = 1e-4
    schedule: Schedule = "cosine"
    loss: Loss = "ohem"
    anomaly_weight: float = Field(
        default=4.0, gt=0, description="weight of anomalous pixels in the loss; normal pixels weigh 1"
    )
    epochs: int = Field(default=150, ge=1, description="epochs that the learning rate's schedule spans")
    last_epoch: int | None = Field(
        default=100,
        ge=1,
        description="the epoch whose model is kept: 100 on MVTec AD and MVTec 3D, 10 on VisA; None: the last",
    )
    epoch_size: int | None = Field(
        default=None, ge=1, description="examples per epoch; None: as many as the training set has"
    )
    scale: int = Field(default=2, ge=1, description="by how much the branch for context sees a smaller image")
    init_weights: Literal["imagenet", "embedded", "random"] = Field(
        default="imagenet",
        description="of both ResNet-18 parts; imagenet: torchvision's resnet18-f37072fd.pth; embedded: those "
        "of EfficientNet-Lite0 in their place, with the ImageNet weights that come with this package",
    )

    @model_validator(mode="after")
    def _ends_within(self) -> LFDParams:
        if self.last_epoch is not None and self.last_epoch > self.epochs:
            raise ValueError(f"last_epoch {self.last_epoch} comes after the last of {self.epochs} epochs")
        return self


class LFD(Supervised):
    """Two truncated ResNet-18 branches, context and detail, fused by attention; maps of two classes."""

    name = "lfd"
    version = 1
    task = "segmentation"
    imports = ("detectors.training", "detectors.segmenters.lfd_network")
    Params = LFDParams
    params: LFDParams
    presets: ClassVar = {
        "tiny": {
            "init_weights": "random",
            "epochs": 3,
            "last_epoch": 2,
            "epoch_size": 8,
            "batch_size": 4,
        },
        "quick": {
            "init_weights": "embedded",
            "epochs": 8,
            "last_epoch": None,
            "epoch_size": 400,
            "batch_size": 8,
            "optimizer": "adam",
            "learning_rate": 3e-3,
            "weight_decay": 0.0,
            "schedule": "one_cycle",
            "augmentation": "dihedral",
            "recalibration_batches": 8,
        },
        "visa": {"last_epoch": 10},
    }

    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        params = self.params
        samples = params.epoch_size or sum(data.count(pool) for pool in ("normal", "real", "generated"))
        epoch = -(-samples // params.batch_size)
        steps = (params.last_epoch or params.epochs) * epoch
        return TrainingSchedule(steps, epoch, horizon=params.epochs * epoch)

    @property
    def normalisation(self) -> Normalisation:
        """As the weights were trained."""
        return HALVES if self.params.init_weights == "embedded" else IMAGENET

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        from detectors.segmenters.lfd_network import build

        return build(self.params.scale, self.params.init_weights, weights, pretrained)

    def missing(self, weights: Path | None = None) -> list[str]:
        if self.params.init_weights == "imagenet":
            return missing_torchvision("resnet18", weights, self.name, "init_weights=embedded")
        if self.params.init_weights == "embedded":
            return missing_embedded(self.name, "init_weights=random")
        return []
