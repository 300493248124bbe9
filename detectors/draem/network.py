"""DRAEM's two sub-networks (section 3.1 and 3.2; widths from the released code)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.draem.subnetwork import DraemSubnetwork, convolution, initialise

STRIDE = 32
WIDTHS = (1, 2, 4, 8, 8)


class Reconstruction(nn.Module):
    """An encoder and a decoder without skip connections: images (B, 3, H, W) to images, H and W multiples
    of 16. What a defect looked like cannot pass."""

    def __init__(self, base_width: int = 128) -> None:
        super().__init__()
        widths = [base_width * factor for factor in WIDTHS]
        levels: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(zip([3, *widths], widths, strict=False)):
            levels += [nn.MaxPool2d(2)] * (level > 0)
            levels += [*convolution(inputs, outputs), *convolution(outputs, outputs)]
        for inputs, outputs in zip(widths[3::-1], [*widths[2::-1], widths[0]], strict=True):
            levels += [
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                *convolution(inputs, inputs),
                *convolution(inputs, inputs),
                *convolution(inputs, outputs),
            ]
        self.body = nn.Sequential(*levels, nn.Conv2d(base_width, 3, 3, padding=1))
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)


class DraemNetwork(nn.Module):
    """Images in [0, 1], (B, 3, H, W), to what they should look like, alike, and logits (B, 2, H, W).

    No gradient of the logits reaches what restores the images where the two are `separate`.
    """

    def __init__(self, reconstructive_width: int, discriminative_width: int, separate: bool = False) -> None:
        super().__init__()
        self.separate = separate
        self.reconstruct = Reconstruction(reconstructive_width)
        self.discriminate = DraemSubnetwork(channels=6, base_width=discriminative_width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        clean = self.reconstruct(padded)
        shown = clean.detach() if self.separate else clean
        logits = self.discriminate(torch.cat((shown, padded), dim=1))
        return clean[..., :height, :width].float(), logits[..., :height, :width].float()
