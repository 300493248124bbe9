"""What GLASS learns: a linear adaptor of features, and a discriminator of one hidden layer or more."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class GlassNetwork(nn.Module):
    """Features (N, D) to adapted ones (N, D), and those to logits (N,) of being anomalous.

    `centre` (P, D) is the mean adapted feature of the normal images at each of P places; `shift` and `scale`
    (D,) are taken off and divided by before features are adapted.
    """

    centre: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, dimension: int, places: int, hidden: int, hidden_layers: int = 1) -> None:
        super().__init__()
        self.adaptor = nn.Linear(dimension, dimension)
        widths = [dimension, *[hidden] * hidden_layers]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*layers, nn.Linear(hidden, 1, bias=False))
        self.register_buffer("centre", torch.zeros(places, dimension))
        self.register_buffer("shift", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)

    def adapt(self, features: Tensor) -> Tensor:
        return self.adaptor((features - self.shift) / self.scale)

    def discriminate(self, features: Tensor) -> Tensor:
        return self.discriminator(features)[:, 0]
