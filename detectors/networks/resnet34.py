"""torchvision's ResNet-34 with its last layer made for the classes at hand."""

from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet34

from detectors.weights import torchvision_weights, verified


def build(classes: int, weights: Path | None, imagenet: bool) -> nn.Module:
    """ResNet-34 from (B, 3, H, W) to (B, classes).

    FileNotFoundError where the ImageNet weights are not there: `Adapter.missing` says so beforehand.
    """
    network = resnet34(weights=None)
    if imagenet:
        path = torchvision_weights("resnet34", weights)
        if path is None:
            raise FileNotFoundError("no ImageNet weights of resnet34")
        network.load_state_dict(torch.load(verified(path), map_location="cpu", weights_only=True))
    network.fc = nn.Linear(network.fc.in_features, classes)
    return network
