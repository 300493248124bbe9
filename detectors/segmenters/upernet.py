"""UPerNet of segmentation-models-pytorch, the heavy segmenter of SeaS's tables.

SeaS (ICCV 2025, 4.2 and A.3) trains UPerNet with MMSegmentation, and does not say how long or at what rate.
The defaults here are MMSegmentation's own (upernet_r50, schedule_80k: batch 4, 512 channels, ImageNet mean
and standard deviation, cross entropy), less its auxiliary head, its dropout and its stem of three
convolutions, which this library's network lacks; no published number confirms them. Xiao et al., "Unified
Perceptual Parsing for Scene Understanding", ECCV 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.methods import DetectorSplit
from detectors.pretrained import (
    EMBEDDED_ENCODER,
    HALVES,
    IMAGENET,
    Encoder,
    EncoderParams,
    EncoderWeights,
    library_name,
    load_encoder,
    missing_encoder,
)
from detectors.supervised import Supervised
from detectors.training_params import (
    Normalisation,
    Schedule80kParams,
    TrainingSchedule,
    schedule_of_iterations,
)

if TYPE_CHECKING:
    from torch import nn


class UPerNetParams(EncoderParams, Schedule80kParams):
    """MMSegmentation's schedule_80k, and the encoder."""

    encoder: Encoder = "resnet50"
    encoder_weights: EncoderWeights = "imagenet"
    decoder_channels: int = Field(default=512, ge=8, description="channels of the decoder's maps")


class UPerNet(Supervised):
    """Pyramid pooling and feature pyramid over an encoder's stages; softmax maps of two classes."""

    name = "upernet"
    version = 2
    task = "segmentation"
    imports = ("detectors.training", "segmentation_models_pytorch")
    Params = UPerNetParams
    params: UPerNetParams
    presets: ClassVar = {
        "tiny": {
            "encoder": EMBEDDED_ENCODER,
            "encoder_weights": None,
            "decoder_channels": 8,
            "iterations": 4,
            "validation_interval": 2,
            "batch_size": 2,
            "learning_rate": 1e-3,
            "optimizer": "adam",
        },
        "quick": {
            "encoder_weights": "embedded",
            "decoder_channels": 64,
            "iterations": 300,
            "validation_interval": 100,
            "batch_size": 8,
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "schedule": "one_cycle",
            "augmentation": "dihedral",
            "loss": "cross_entropy_dice",
        },
    }

    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        return schedule_of_iterations(self.params)

    @property
    def normalisation(self) -> Normalisation:
        """As the encoder's weights were trained."""
        return HALVES if self.params.encoder == EMBEDDED_ENCODER else IMAGENET

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        import segmentation_models_pytorch as smp

        encoder, channels = self.params.encoder, self.params.decoder_channels
        network = smp.UPerNet(
            library_name(encoder), encoder_weights=None, decoder_channels=channels, classes=2
        )
        source = self.params.encoder_weights if pretrained else None
        load_encoder(network.encoder, encoder, source, weights)
        return network

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_encoder(self.params, weights, self.name)
