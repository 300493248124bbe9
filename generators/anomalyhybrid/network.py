"""The generator of AnomalyHybrid (section 3.2, Fig. 4): one encoder, two groups of two decoders, Eq. 1."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from generators.anomalyhybrid.params import AnomalyHybridParams

CONDITIONS = 5
"""Channels of the concatenated conditions: red, green, blue, depth, edges."""
DECODERS = ("ahd", "ahe")


class Fusion(NamedTuple):
    """What one group of decoders gives: images in -1..1 [B, C, H, W], the map in 0..1 [B, 1, H, W]."""

    image: Tensor
    generated: Tensor
    fusion: Tensor


def fuse(content: Tensor, generated: Tensor, fusion: Tensor) -> Tensor:
    """Eq. 1: A_out = C_in (1 - M_gen) + A_gen M_gen."""
    return content * (1 - fusion) + generated * fusion


class ResnetBlock(nn.Module):
    def __init__(self, width: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Encoder(nn.Module):
    """Features of each scale, finest first: [B, width * 2^k, H / 2^k, W / 2^k]."""

    def __init__(self, params: AnomalyHybridParams, norm: type[nn.Module]) -> None:
        super().__init__()
        width = params.width
        stem = [nn.ReflectionPad2d(3), nn.Conv2d(CONDITIONS, width, 7), norm(width), nn.ReLU()]
        self.scales = nn.ModuleList([nn.Sequential(*stem)])
        for _ in range(params.downsamplings):
            conv = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
            width *= 2
            self.scales.append(nn.Sequential(conv, norm(width), nn.ReLU()))
        self.blocks = nn.Sequential(*[ResnetBlock(width, norm) for _ in range(params.blocks)])

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for scale in self.scales:
            x = scale(x)
            features.append(x)
        return [*features[:-1], self.blocks(features[-1])]


class Decoder(nn.Module):
    """One branch: the encoder's features to [B, outputs, H, W], unbounded."""

    def __init__(self, params: AnomalyHybridParams, norm: type[nn.Module], outputs: int) -> None:
        super().__init__()
        self.skips = params.skips
        width = params.width * 2**params.downsamplings
        self.scales = nn.ModuleList()
        for _ in range(params.downsamplings):
            conv = nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1)
            width //= 2
            self.scales.append(nn.Sequential(conv, norm(width), nn.ReLU()))
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7))

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        for scale, same in zip(self.scales, reversed(features[:-1]), strict=True):
            x = scale(x)
            x = x[..., : same.shape[2], : same.shape[3]]  # an odd side is rounded up on the way down
            if self.skips:
                x = x + same
        return self.last(x)


class HybridGenerator(nn.Module):
    """conditions [B, 5, H, W] and, for each decoder, the content C_in [B, channels, H, W] to fused images."""

    def __init__(self, params: AnomalyHybridParams, channels: int) -> None:
        super().__init__()
        norm: type[nn.Module] = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}[params.norm]
        self.encoder = Encoder(params, norm)
        self.texture = nn.ModuleDict({name: Decoder(params, norm, channels) for name in DECODERS})
        self.mask = nn.ModuleDict({name: Decoder(params, norm, 1) for name in DECODERS})
        self.apply(_initialise)

    def forward(self, conditions: Tensor, contents: dict[str, Tensor]) -> dict[str, Fusion]:
        """For each decoder named in `contents`, its group's result."""
        features = self.encoder(conditions)
        results = {}
        for name, content in contents.items():
            generated = torch.tanh(self.texture[name](features))
            fusion = torch.sigmoid(self.mask[name](features))
            results[name] = Fusion(fuse(content, generated, fusion), generated, fusion)
        return results


def _initialise(module: nn.Module) -> None:
    """pix2pixHD: convolutions from N(0, 0.02), scales of batch norm from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class PatchDiscriminator(nn.Module):
    """pix2pixHD's: convolutions 4x4, the last two of stride 1, to one value a patch."""

    def __init__(self, params: AnomalyHybridParams, inputs: int) -> None:
        super().__init__()
        width = params.discriminator_width
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, stride=2, padding=2), nn.LeakyReLU(0.2)]
        for layer in range(1, params.discriminator_layers + 1):
            wider = min(2 * width, 8 * params.discriminator_width)
            stride = 2 if layer < params.discriminator_layers else 1
            layers += [nn.Conv2d(width, wider, 4, stride=stride, padding=2), nn.InstanceNorm2d(wider)]
            layers.append(nn.LeakyReLU(0.2))
            width = wider
        layers.append(nn.Conv2d(width, 1, 4, padding=2))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Discriminator(nn.Module):
    """D(C, A): the conditions beside a true or a generated image; one map of values a scale."""

    def __init__(self, params: AnomalyHybridParams, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            [PatchDiscriminator(params, CONDITIONS + channels) for _ in range(params.discriminator_scales)]
        )
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.apply(_initialise)

    def forward(self, conditions: Tensor, images: Tensor) -> list[Tensor]:
        x = torch.cat([conditions, images], dim=1)
        values = []
        for scale in self.scales:
            values.append(scale(x))
            x = self.halve(x)
        return values
