"""UPerNet of segmentation-models-pytorch, with encoder weights from local files alone."""

from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import nn

from detectors.networks.smp_unet import embedded_state
from detectors.weights import torchvision_weights, verified


def build(
    encoder: str, encoder_weights: str | None, decoder_channels: int, weights: Path | None
) -> nn.Module:
    """UPerNet from (B, 3, H, W) to (B, 2, H, W), H and W multiples of 32.

    FileNotFoundError where the encoder's weights are not there: `Adapter.missing` says so beforehand.
    """
    network = smp.UPerNet(
        f"tu-{encoder}" if encoder == "tf_efficientnet_lite0" else encoder,
        encoder_weights=None,
        decoder_channels=decoder_channels,
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
