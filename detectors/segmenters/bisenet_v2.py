"""BiSeNetV2 of MMSegmentation, the fast segmenter of SeaS's tables.

SeaS (ICCV 2025, 4.2 and A.3) trains it with MMSegmentation's bisenetv2.py, and does not say how long or at
what rate. The defaults here are MMSegmentation's own (schedule_80k, batch 4, ImageNet mean and standard
deviation, cross entropy on the output and on four auxiliary heads); no published number confirms them.
Yu et al., "BiSeNet V2", IJCV 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.methods import DetectorSplit
from detectors.supervised import Supervised
from detectors.training_params import Schedule80kParams, TrainingSchedule, schedule_of_iterations

if TYPE_CHECKING:
    from torch import nn


class BiSeNetV2(Supervised):
    """Two branches, detail and semantics, joined by guided aggregation; softmax maps of two classes."""

    name = "bisenet_v2"
    version = 1
    task = "segmentation"
    mean = (123.675 / 255, 116.28 / 255, 103.53 / 255)
    std = (58.395 / 255, 57.12 / 255, 57.375 / 255)
    imports = ("detectors.training", "detectors.segmenters.bisenet_v2_network")
    packages = ("cv2", "mmcv", "mmengine", "mmseg")
    Params = Schedule80kParams
    params: Schedule80kParams
    presets: ClassVar = {
        "tiny": {"iterations": 4, "validation_interval": 2, "batch_size": 2},
        "quick": {
            "iterations": 14,
            "validation_interval": 7,
            "batch_size": 8,
            "optimizer": "adam",
            "learning_rate": 2e-3,
            "weight_decay": 0.0,
            "schedule": "one_cycle",
            "augmentation": "none",
            "loss": "cross_entropy_dice",
            "recalibration_batches": 8,
        },
    }

    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        return schedule_of_iterations(self.params)

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        from detectors.segmenters.bisenet_v2_network import BiSeNetV2Network

        return BiSeNetV2Network()
