"""UNet of segmentation-models-pytorch, trained as AnomalyDiffusion trains its segmenter.

The training recipe is that of AnomalyDiffusion (Hu et al., AAAI 2024), train-localization.py; the network of
that file is the adapter `unet_draem`. This one has an encoder that can start from ImageNet weights.
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
    AnomalyDiffusionParams,
    Normalisation,
    TrainingSchedule,
    schedule_of_epochs,
)

if TYPE_CHECKING:
    from torch import nn


class UNetParams(EncoderParams, AnomalyDiffusionParams):
    """AnomalyDiffusion's recipe, and the encoder and decoder of segmentation-models-pytorch."""

    encoder: Encoder = "resnet34"
    encoder_weights: EncoderWeights = None  # random, as in the paper
    decoder_channels: tuple[int, int, int, int, int] = Field(
        default=(256, 128, 64, 32, 16), description="channels of the decoder's levels, from 1/16 to full size"
    )


class UNet(Supervised):
    """UNet with a ResNet or EfficientNet-Lite0 encoder; softmax maps of two classes."""

    name = "unet"
    version = 1
    task = "segmentation"
    imports = ("detectors.training", "segmentation_models_pytorch")
    Params = UNetParams
    params: UNetParams
    presets: ClassVar = {
        "tiny": {
            "encoder": EMBEDDED_ENCODER,
            "decoder_channels": (16, 16, 16, 16, 16),
            "epochs": 2,
            "epoch_size": 8,
            "batch_size": 4,
            "learning_rate": 1e-3,
        },
        "quick": {
            "encoder_weights": "embedded",
            "decoder_channels": (96, 64, 48, 32, 16),
            "epochs": 4,
            "epoch_size": 120,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "schedule": "one_cycle",
            "augmentation": "dihedral",
            "loss": "cross_entropy_dice",
        },
    }

    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        return schedule_of_epochs(self.params.epoch_size, self.params.epochs, self.params.batch_size)

    @property
    def normalisation(self) -> Normalisation:
        """As the encoder's weights were trained; none where they are random, as in the paper."""
        if self.params.encoder_weights == "embedded":
            return HALVES
        if self.params.encoder_weights == "imagenet":
            return IMAGENET
        return super().normalisation

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        import segmentation_models_pytorch as smp

        encoder, channels = self.params.encoder, self.params.decoder_channels
        network = smp.Unet(library_name(encoder), encoder_weights=None, decoder_channels=channels, classes=2)
        source = self.params.encoder_weights if pretrained else None
        load_encoder(network.encoder, encoder, source, weights)
        return network

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_encoder(self.params, weights, self.name)
