"""Patches of images as a pretrained backbone sees them: what PatchCore remembers and GLASS learns from."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

Backbone = Annotated[str, Field(description="a network of torchvision, or, as timm/NAME, one of timm")]
BackboneWeights = Annotated[
    Literal["imagenet", "embedded", "random"],
    Field(
        description="imagenet: the published file, or NAME.pth or NAME.safetensors in the weights folder; "
        "embedded: EfficientNet-Lite0's, which come with this package; random: for tests"
    ),
]
Layers = Annotated[
    tuple[str, ...],
    Field(min_length=1, description="modules of the backbone whose outputs are joined, the finest first"),
]
Precision = Annotated[
    Literal["fp32", "bf16"],
    Field(description="of the backbone; bf16: about twice as fast where supported"),
]

EMBEDDED = {
    "backbone": "timm/tf_efficientnet_lite0",
    "backbone_weights": "embedded",
    "layers": ("blocks.2", "blocks.4"),
    "size": None,
    "embedding": "anomalib",
}
"""Parameters of the embedded profile."""


class BackboneParams(BaseModel):
    """A backbone and its weights, which have to fit each other."""

    backbone: Backbone = "wide_resnet50_2"
    backbone_weights: BackboneWeights = "imagenet"
    layers: Layers = ("layer2", "layer3")
    precision: Precision = "fp32"

    @model_validator(mode="before")
    @classmethod
    def _embedded_has_one_backbone(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("backbone_weights") == "embedded":
            return {"backbone": EMBEDDED["backbone"], "layers": EMBEDDED["layers"], **values}
        return values

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        if self.backbone_weights == "embedded" and self.backbone != EMBEDDED["backbone"]:
            raise ValueError(f"backbone_weights=embedded are those of backbone={EMBEDDED['backbone']}")
        return self
