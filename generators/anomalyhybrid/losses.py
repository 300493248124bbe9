"""The losses of section 3.4: perceptual (Eq. 2) and conditional GAN (Eq. 3)."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from bench.errors import BenchError
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.sources import find_vgg19

WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""pix2pixHD's weights of five depths, the shallowest first."""
VGG_TAPS = (1, 6, 11, 20, 29)
"""relu1_1 to relu5_1 of VGG-19."""


class PerceptualLoss(nn.Module):
    """L_vgg: weighted L1 distances between the features of two images [B, 1 or 3, H, W] in -1..1."""

    def __init__(self, depths: list[nn.Module], relative: bool) -> None:
        super().__init__()
        self.depths = nn.ModuleList(depths)
        self.relative = relative
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        x, y = (t.expand(-1, 3, -1, -1) for t in (images, targets))
        total = images.new_zeros(())
        for weight, depth in zip(WEIGHTS, self.depths, strict=True):
            x = depth(x)
            with torch.no_grad():
                y = depth(y)
                # lite0's features differ in size from stage to stage, and VGG's do not much
                size = y.abs().mean() + 1e-6 if self.relative else 1.0
            total = total + weight * (x - y).abs().mean() / size
        return total


def perceptual_loss(params: AnomalyHybridParams, weights: Path | None) -> PerceptualLoss:
    if params.perceptual == "embedded":
        return PerceptualLoss(_lite0_depths(), relative=True)
    import torchvision

    path = find_vgg19(weights)
    if path is None:
        raise BenchError("the VGG-19 weights are missing; see `bench doctor`, or use perceptual=embedded")
    with torch.random.fork_rng(devices=[]):
        layers = torchvision.models.vgg19(weights=None).features
    state = torch.load(path, map_location="cpu", weights_only=True)
    features = {
        name.removeprefix("features."): v for name, v in state.items() if name.startswith("features.")
    }
    layers.load_state_dict(features)
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    starts = (0, *(tap + 1 for tap in VGG_TAPS[:-1]))
    return PerceptualLoss([layers[a : tap + 1] for a, tap in zip(starts, VGG_TAPS, strict=True)], False)


def _lite0_depths() -> list[nn.Module]:
    """EfficientNet-Lite0 cut at sizes 1/2, 1/4, 1/8, 1/16 and 1/16: its stem and first five stages."""
    import timm

    from bench.features.embedded import embedded_weights
    from bench.features.weights import load_state

    with torch.random.fork_rng(devices=[]):
        network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    theirs = load_state(embedded_weights()).values()
    # the package names its tensors otherwise, but lists them in the same order and shapes
    network.load_state_dict(dict(zip(network.state_dict(), theirs, strict=True)))
    _fold(network)
    stem = nn.Sequential(network.conv_stem, network.bn1, network.blocks[0])
    return [stem, *network.blocks[1:5]]


def _fold(network: nn.Module) -> None:
    """Put each batch norm into the convolution before it: a fifth of the loss's time, and nothing else."""
    before: nn.Module | None = None
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            assert child.running_mean is not None and child.running_var is not None
            before.weight, before.bias = fuse_conv_bn_weights(
                before.weight, before.bias, child.running_mean, child.running_var, child.eps,
                child.weight, child.bias,
            )  # fmt: skip
            setattr(network, name, getattr(child, "act", nn.Identity()))
        else:
            _fold(child)
        before = child


def real_or_not(values: list[Tensor], real: bool, gan: str) -> Tensor:
    """The mean over scales of how far a discriminator's values are from what is said of the images.

    "lsgan": squares, pix2pixHD's default. "log": -log D and -log(1 - D) of Eq. 3; the generator is trained
    by -log D as in Goodfellow et al. 2014, whose gradient does not vanish early.
    """
    losses = []
    for value in values:
        target = torch.full_like(value, float(real))
        compare = F.mse_loss if gan == "lsgan" else F.binary_cross_entropy_with_logits
        losses.append(compare(value, target))
    return torch.stack(losses).mean()
