"""The segmenter of AnomalyDiffusion's protocol: DRAEM's discriminative sub-network, trained alone.

Hu et al., "AnomalyDiffusion", AAAI 2024, train-localization.py: it is called UNet there and in the tables of
the papers that follow. Random initial weights, images in [0, 1], no augmentation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.methods import DetectorSplit
from detectors.supervised import Supervised
from detectors.training_params import AnomalyDiffusionParams, TrainingSchedule, schedule_of_epochs

if TYPE_CHECKING:
    from torch import nn


class UNetDraemParams(AnomalyDiffusionParams):
    """AnomalyDiffusion's recipe, and the width of the network."""

    base_width: int = Field(default=64, ge=1, description="channels of the first level; the deepest have 8 x")


class UNetDraem(Supervised):
    """DRAEM's discriminative sub-network with three input channels; softmax maps of two classes."""

    name = "unet_draem"
    version = 1
    task = "segmentation"
    imports = ("detectors.training", "detectors.draem.subnetwork")
    Params = UNetDraemParams
    params: UNetDraemParams
    presets: ClassVar = {
        "tiny": {"base_width": 4, "epochs": 2, "epoch_size": 8, "batch_size": 4, "learning_rate": 1e-3},
        "quick": {
            "base_width": 12,
            "epochs": 4,
            "epoch_size": 128,
            "batch_size": 8,
            "learning_rate": 2e-3,
            "schedule": "one_cycle",
            "augmentation": "dihedral",
            "loss": "cross_entropy_dice",
            "recalibration_batches": 8,
        },
    }

    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        return schedule_of_epochs(self.params.epoch_size, self.params.epochs, self.params.batch_size)

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        from detectors.draem.subnetwork import DraemSubnetwork

        return DraemSubnetwork(base_width=self.params.base_width)
