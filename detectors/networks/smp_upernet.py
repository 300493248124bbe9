"""UPerNet of segmentation-models-pytorch, with encoder weights from local files alone."""

from pathlib import Path

import segmentation_models_pytorch as smp
from torch import nn

from detectors.networks.smp_encoder import library_name, load_encoder


def build(
    encoder: str, encoder_weights: str | None, decoder_channels: int, weights: Path | None
) -> nn.Module:
    """UPerNet from (B, 3, H, W) to (B, 2, H, W), H and W multiples of 32.

    FileNotFoundError where the encoder's weights are not there: `Adapter.missing` says so beforehand.
    """
    network = smp.UPerNet(
        library_name(encoder), encoder_weights=None, decoder_channels=decoder_channels, classes=2
    )
    load_encoder(network.encoder, encoder, encoder_weights, weights)
    return network
