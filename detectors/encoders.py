"""The encoders of segmentation-models-pytorch: which there are, and where their weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from detectors.weights import missing_embedded, missing_torchvision

EMBEDDED_ENCODER = "tf_efficientnet_lite0"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of torchvision's weights."""
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Those of EfficientNet-Lite0's."""


Encoder = Annotated[
    Literal["resnet18", "resnet34", "resnet50", "tf_efficientnet_lite0"],
    Field(description="the encoder; tf_efficientnet_lite0 with encoder_weights=embedded"),
]
EncoderWeights = Annotated[
    Literal["imagenet", "embedded"] | None,
    Field(
        description="imagenet: torchvision's; embedded: the ImageNet weights of EfficientNet-Lite0 that come "
        "with this package, no download; None: random"
    ),
]


class EncoderParams(BaseModel):
    """An encoder and its weights, which have to fit each other; each network has its own defaults."""

    encoder: Encoder
    encoder_weights: EncoderWeights

    @model_validator(mode="before")
    @classmethod
    def _embedded_has_one_encoder(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("encoder_weights") == "embedded":
            return {"encoder": EMBEDDED_ENCODER, **values}
        return values

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        lite = self.encoder == EMBEDDED_ENCODER
        if self.encoder_weights == "embedded" and not lite:
            raise ValueError(f"encoder_weights=embedded are those of encoder={EMBEDDED_ENCODER}")
        if self.encoder_weights == "imagenet" and lite:
            raise ValueError(f"the ImageNet weights of {EMBEDDED_ENCODER} are encoder_weights=embedded")
        return self


def missing_encoder(params: EncoderParams, weights: Path | None, owner: str) -> list[str]:
    """One sentence if the encoder's weights are not there, with the option that needs none."""
    if params.encoder_weights == "imagenet":
        return missing_torchvision(params.encoder, weights, owner, "encoder_weights=embedded")
    if params.encoder_weights == "embedded":
        return missing_embedded(owner, "encoder_weights=none")
    return []
