"""What a feature profile offers, and how images enter a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import torch


class FeatureInputError(ValueError):
    """Images that no network here takes."""


class Profile(ABC):
    """A named set of feature networks, built lazily.

    name: of the profile. perceptual_names: the perceptual networks, the default first. weights_sha256: file
    name -> sha256 of every weight file read so far (reading happens at first use).
    """

    name: ClassVar[str]
    perceptual_names: ClassVar[tuple[str, ...]]

    def __init__(self, device: str) -> None:
        self.device = device
        self.weights_sha256: dict[str, str] = {}
        self._networks: dict[str, Any] = {}
        self._weights_of: dict[str, dict[str, str]] = {}

    @abstractmethod
    def pool(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and class probabilities of whole images, for IS, KID and FID.

        images: uint8 RGB [B, H, W, 3], any size. Returns (float32 [B, D], float64 [B, C], rows summing to 1).
        """

    @abstractmethod
    def perceptual(
        self, images: np.ndarray, network: str | None = None, *, scaled: bool = True
    ) -> list[torch.Tensor]:
        """One float32 tensor [B, D_s] a stage; the squared L2 distance of two images, summed over stages, is
        their perceptual distance.

        images: uint8 RGB [B, H, W, 3], used at the size they have. network: one of `perceptual_names`.
        scaled: false feeds 0..255 where the network expects -1..1, as two repositories do with real images.
        """

    def weights_of(self, network: str) -> dict[str, str]:
        """File name -> sha256 of the weights of one perceptual network that was used."""
        return dict(self._weights_of.get(network, self.weights_sha256))

    def network_name(self, network: str | None) -> str:
        """`network`, or the profile's default. Raises ValueError where the profile has no such network."""
        if network is None:
            return self.perceptual_names[0]
        if network not in self.perceptual_names:
            raise ValueError(
                f"profile '{self.name}' has no perceptual network '{network}'; "
                f"it has: {', '.join(self.perceptual_names)}"
            )
        return network


def image_batch(images: np.ndarray, device: str) -> torch.Tensor:
    """uint8 RGB [B, H, W, 3] -> uint8 tensor [B, 3, H, W], channels last in memory."""
    import torch

    array = np.asarray(images)
    if array.dtype != np.uint8:
        raise FeatureInputError(f"images must be uint8, 0 to 255, not {array.dtype}")
    if array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
        raise FeatureInputError(
            f"images must be RGB [B, H, W, 3] and not empty, but have shape {array.shape}"
        )
    return torch.from_numpy(np.ascontiguousarray(array)).to(device).permute(0, 3, 1, 2)
