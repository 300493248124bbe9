"""The segmenter of AnomalyDiffusion's protocol: DRAEM's discriminative sub-network, trained alone.

Hu et al., "AnomalyDiffusion", AAAI 2024, train-localization.py: it is called UNet there and in the tables of
the papers that follow. Random initial weights, images in [0, 1], no augmentation. An image's score is the
highest mean of its map over 21 x 21 pixels (test-localization.py), as DRAEM's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from bench.methods import Batch, DetectorSplit, Prediction
from bench.methods.context import Context
from detectors.supervised import Supervised
from detectors.training_params import AnomalyDiffusionParams, TrainingSchedule, schedule_of_epochs

if TYPE_CHECKING:
    from torch import nn


class UNetDraemParams(AnomalyDiffusionParams):
    """AnomalyDiffusion's recipe, and the width of the network."""

    base_width: int = Field(default=64, ge=1, description="channels of the first level; the deepest have 8 x")
    score_window: int = Field(
        default=21,
        ge=1,
        description="side of the window whose highest mean in the map is the score of an image; odd",
    )

    @field_validator("score_window")
    @classmethod
    def _odd(cls, value: int) -> int:
        """A window of an even side has no middle pixel."""
        if value % 2 == 0:
            raise ValueError("give an odd number of pixels")
        return value


class UNetDraem(Supervised):
    """DRAEM's discriminative sub-network with three input channels; softmax maps of two classes."""

    name = "unet_draem"
    version = 2
    task = "segmentation"
    imports = ("detectors.training", "detectors.draem.model", "detectors.draem.subnetwork")
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

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Anomaly maps in [0, 1], and the image scores of AnomalyDiffusion."""
        import torch

        from detectors.draem.model import image_scores

        window = self.stored(model).params.score_window
        for prediction in super().predict(model, images, ctx):
            assert prediction.amap is not None  # a segmenter gives maps
            scores = image_scores(torch.from_numpy(prediction.amap), window).numpy()
            yield prediction._replace(score=scores)
