"""ResNet-34 that names the defect type, as AnomalyDiffusion measures what generated images teach.

Hu et al., "AnomalyDiffusion", AAAI 2024, train-classification.py: one network per category, trained on
anomalous images alone, no class for normal ones; images in [0, 1], not normalised, not augmented.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bench.methods import DetectorSplit
from detectors.pretrained import missing_torchvision, torchvision_state
from detectors.supervised import Supervised
from detectors.training_params import (
    LearningRate,
    Optimizer,
    Schedule,
    TrainingParams,
    TrainingSchedule,
    schedule_of_epochs,
)

if TYPE_CHECKING:
    from torch import nn


class ResNet34Params(TrainingParams):
    """The recipe of AnomalyDiffusion's train-classification.py."""

    batch_size: int = Field(default=8, ge=2, description="examples per step; batch norm needs two")
    learning_rate: LearningRate = 1e-4
    optimizer: Optimizer = "adam"
    schedule: Schedule = "multistep"
    epochs: int = Field(default=30, ge=1, description="epochs")
    epoch_size: int | None = Field(
        default=None,
        ge=1,
        description="examples per epoch; None: five times the number of anomalous training images",
    )
    init_weights: Literal["imagenet", "random"] = Field(
        default="imagenet", description="imagenet: torchvision's resnet34-b627a593.pth"
    )


class ResNet34(Supervised):
    """torchvision's ResNet-34, all layers trained, logits over the (category, defect) pairs of the split."""

    name = "resnet34"
    version = 1
    task = "classification"
    imports = ("detectors.training", "torchvision.models")
    Params = ResNet34Params
    params: ResNet34Params
    presets: ClassVar = {
        "tiny": {
            "init_weights": "random",
            "epochs": 2,
            "epoch_size": 8,
            "batch_size": 4,
            "learning_rate": 1e-3,
        },
        "quick": {
            "init_weights": "random",
            "epochs": 3,
            "epoch_size": 40,
            "batch_size": 8,
            "learning_rate": 3e-4,
            "schedule": "one_cycle",
            "augmentation": "dihedral",
            "recalibration_batches": 4,
        },
    }

    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        params = self.params
        anomalies = data.count("real") + data.count("generated")
        return schedule_of_epochs(
            params.epoch_size or 5 * anomalies, params.epochs, params.batch_size, anomalies_only=True
        )

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        from torch import nn
        from torchvision.models import resnet34

        network = resnet34(weights=None)
        if pretrained and self.params.init_weights == "imagenet":
            network.load_state_dict(torchvision_state("resnet34", weights))
        network.fc = nn.Linear(network.fc.in_features, classes)
        return network

    def missing(self, weights: Path | None = None) -> list[str]:
        if self.params.init_weights == "imagenet":
            return missing_torchvision("resnet34", weights, self.name, "init_weights=random")
        return []
