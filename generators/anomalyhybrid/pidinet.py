"""PiDiNet, the edge detector of the edge condition, as its authors release it ("carv4", attention, dilation).

Su, Liu, Yu, Hu, Liao, Tian, Pietikainen, Liu: Pixel difference networks for efficient edge detection, ICCV
2021. Four stages of four depthwise blocks; the first convolution of each block works on differences of
pixels (section 3): to the centre (`central`), between neighbours on the ring (`angular`), along the spokes
from the inner to the outer ring (`radial`), or on the pixels themselves (`plain`). A difference is linear in
the pixels, so each such layer is equal to a plain convolution with rearranged weights (section 3.3).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

KINDS = ("central", "angular", "radial", "plain")
"""The order within each stage of four blocks in the configuration carv4."""
WIDTHS = (60, 120, 240, 240)
DILATED = 24
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLOCKWISE = (3, 0, 1, 6, 4, 2, 7, 8, 5)
"""For each of the 3x3 positions, its neighbour that the angular difference subtracts."""
OUTER, INNER = (0, 2, 4, 10, 14, 20, 22, 24), (6, 7, 8, 11, 13, 16, 17, 18)
"""Flat positions in 5x5 and their partners on the inner ring."""


def plain_kernel(weight: Tensor, kind: str) -> Tensor:
    """The kernel of the plain convolution that equals a difference convolution with this 3x3 kernel.

    [out, in, 3, 3] to the same shape; to [out, in, 5, 5] for `radial`.
    """
    flat = weight.flatten(2)  # (out, in, 9)
    if kind == "central":
        flat = flat.clone()
        flat[..., 4] -= weight.sum(dim=(2, 3))
    elif kind == "angular":
        flat = flat - flat[..., list(CLOCKWISE)]
    elif kind == "radial":
        wide = torch.zeros(*weight.shape[:2], 25, dtype=weight.dtype, device=weight.device)
        wide[..., list(OUTER)] = flat[..., 1:]
        wide[..., list(INNER)] = -flat[..., 1:]
        return wide.unflatten(2, (5, 5))
    return flat.unflatten(2, (3, 3))


def difference(x: Tensor, weight: Tensor, kind: str, groups: int) -> Tensor:
    """The pixel difference convolution by its definition: differences first, then the weighted sum.

    x [B, in, H, W], zero outside; weight [out, in / groups, 3, 3], depthwise or full; stride 1.
    """
    if kind == "plain":
        return F.conv2d(x, weight, padding=1, groups=groups)
    reach = 2 if kind == "radial" else 1
    side = 2 * reach + 1
    batch, channels, height, width = x.shape
    around = F.unfold(x, side, padding=reach).view(batch, channels, side * side, height * width)
    if kind == "central":
        pairs, weights = around - around[:, :, 4:5], weight.flatten(2)
    elif kind == "angular":
        # sum w_i x_i - sum w_c(i) x_i = sum w_i (x_i - x_j) over the pairs j of which i is the neighbour
        back = torch.argsort(torch.tensor(CLOCKWISE))
        pairs, weights = around - around[:, :, back], weight.flatten(2)
    else:
        pairs, weights = around[:, :, list(OUTER)] - around[:, :, list(INNER)], weight.flatten(2)[..., 1:]
    grouped = pairs.unflatten(1, (groups, -1))  # (B, G, in/G, K, HW)
    kernels = weights.unflatten(0, (groups, -1))  # (G, out/G, in/G, K)
    return torch.einsum("bgikp,goik->bgop", grouped, kernels).reshape(batch, -1, height, width)


class DifferenceConv(nn.Module):
    """A convolution on differences of pixels, computed as the plain one that it equals."""

    def __init__(self, kind: str, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__()
        self.kind, self.groups = kind, groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        kernel = plain_kernel(self.weight, self.kind)
        return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=self.groups)


class Block(nn.Module):
    def __init__(self, kind: str, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if halves else nn.Identity()
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if halves else nn.Identity()
        self.conv1 = DifferenceConv(kind, inputs, inputs, groups=inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        return self.conv2(F.relu(self.conv1(x))) + self.shortcut(x)


class Dilation(nn.Module):
    """Context of four dilations, summed (the authors' CDCM)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, DILATED, 1)
        self.conv2_1, self.conv2_2, self.conv2_3, self.conv2_4 = (
            nn.Conv2d(DILATED, DILATED, 3, padding=reach, dilation=reach, bias=False)
            for reach in (5, 7, 9, 11)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(F.relu(x))
        return self.conv2_1(x) + self.conv2_2(x) + self.conv2_3(x) + self.conv2_4(x)


class Attention(nn.Module):
    """A weight for each pixel (the authors' CSAM)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(DILATED, 4, 1)
        self.conv2 = nn.Conv2d(4, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv2(self.conv1(F.relu(x))))


class Reduction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(DILATED, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class PiDiNet(nn.Module):
    """[B, 3, H, W] normalised RGB to five edge maps [B, 1, H, W] in 0..1: the four granularities, finest
    first, and their learned mean. Parameters are named as in the authors' checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.init_block = DifferenceConv(KINDS[0], 3, WIDTHS[0])
        before = WIDTHS[0]
        for stage, width in enumerate(WIDTHS, start=1):
            for number, kind in enumerate(KINDS, start=1):
                if (stage, number) == (1, 1):
                    continue  # the stem takes the first place of the first stage
                halves = stage > 1 and number == 1
                # the stem is not a block: the first stage counts its three from 1
                name = f"block{stage}_{number - 1 if stage == 1 else number}"
                self.add_module(name, Block(kind, before, width, halves))
                before = width
        self.dilations = nn.ModuleList([Dilation(width) for width in WIDTHS])
        self.attentions = nn.ModuleList([Attention() for _ in WIDTHS])
        self.conv_reduces = nn.ModuleList([Reduction() for _ in WIDTHS])
        self.classifier = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        size = x.shape[2:]
        x = self.init_block(x)
        maps = []
        for stage in range(4):
            for number in range(1, 4 if stage == 0 else 5):
                x = getattr(self, f"block{stage + 1}_{number}")(x)
            reduced = self.conv_reduces[stage](self.attentions[stage](self.dilations[stage](x)))
            maps.append(F.interpolate(reduced, size, mode="bilinear", align_corners=False))
        maps.append(self.classifier(torch.cat(maps, dim=1)))
        return [torch.sigmoid(edges) for edges in maps]


def load_pidinet(path: Path) -> PiDiNet:
    """The network with the authors' weights; their checkpoint was saved from a DataParallel wrapper."""
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        network = PiDiNet()
    network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    return network.eval().requires_grad_(False)


def finest_edges(network: PiDiNet, images: np.ndarray, device: str) -> np.ndarray:
    """uint8 [N, H, W, 3] RGB to the first granularity, float32 [N, H, W] in 0..1 (AnomalyHybrid, 3.3)."""
    mean, deviation = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    with torch.inference_mode():
        x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
        return network.to(device)((x - mean) / deviation)[0][:, 0].float().cpu().numpy()
