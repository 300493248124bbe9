"""The discriminative sub-network of DRAEM, which AnomalyDiffusion trains as its UNet.

Zavrtanik et al., "DRAEM: A discriminatively trained reconstruction embedding for surface anomaly
detection", ICCV 2021, section 3.2. A UNet of six encoder levels, widths b, 2b, 4b, 8b, 8b, 8b, two
3x3 convolutions per level, with maximum pooling down and bilinear upsampling plus skip connections up.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

WIDTHS = (1, 2, 4, 8, 8, 8)


def convolution(inputs: int, outputs: int) -> list[nn.Module]:
    """A 3x3 convolution with batch norm and ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class _Up(nn.Module):
    """Upsample and convolve to `outputs` channels, join the skip connection, convolve twice."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            # Corners aligned, as in the released network: maps differ at the border otherwise.
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            *convolution(inputs, outputs),
        )
        self.merge = nn.Sequential(*convolution(outputs + skip, outputs), *convolution(outputs, outputs))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.merge(torch.cat((self.reduce(x), skip), dim=1))


class DraemSubnetwork(nn.Module):
    """Logits (B, classes, H, W) of images (B, channels, H, W); H and W are multiples of 32."""

    def __init__(self, channels: int = 3, classes: int = 2, base_width: int = 64) -> None:
        super().__init__()
        widths = [base_width * factor for factor in WIDTHS]
        self.down = nn.ModuleList(
            nn.Sequential(*convolution(inputs, outputs), *convolution(outputs, outputs))
            for inputs, outputs in pairwise([channels, *widths])
        )
        self.pool = nn.MaxPool2d(2)
        # A level goes up with the width of the level above its skip: 8b, 4b, 2b, b, b.
        ups = [widths[4], *widths[2::-1], widths[0]]
        self.up = nn.ModuleList(
            _Up(inputs, skip, outputs)
            for inputs, skip, outputs in zip([widths[5], *ups], widths[4::-1], ups, strict=False)
        )
        self.head = nn.Conv2d(base_width, classes, 3, padding=1)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        x, skips = images, []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))  # (B, w_level, H/2^level, W/2^level)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(x, skip)
        return self.head(x)  # (B, classes, H, W)


def initialise(module: nn.Module) -> None:
    """DRAEM's initial weights: normal around 0 of convolutions, around 1 of batch norms."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
