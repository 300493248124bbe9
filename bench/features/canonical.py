"""The networks of the papers: Inception-2015 for IS, KID and FID; LPIPS on VGG-16 or AlexNet.

`pool` is torch-fidelity's Inception (TF-1 bilinear resize to 299 inside): the 2,048 pooled features and the
softmax of its `logits_unbiased` (1,008 classes, no bias), as its IS uses. `perceptual` is LPIPS 0.1: trunk
of torchvision, linear heads of the lpips package (in float32), images scaled to -1..1.

Weights come from `weights_dir`, from torch hub's cache, or are downloaded on first use; see `weights`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench.features.profile import Profile, image_batch
from bench.features.unit_features import unit_vectors
from bench.features.weights import (
    ALEXNET,
    INCEPTION_2015,
    VGG16,
    WeightsMissingError,
    find_weights,
    load_state,
)
from bench.store.store import file_sha256

if TYPE_CHECKING:
    import torch

# the trunk's file, torchvision's name, and the layers after whose ReLU LPIPS reads
TRUNKS = {
    "lpips-vgg": (VGG16, "vgg16", (3, 8, 15, 22, 29)),
    "lpips-alex": (ALEXNET, "alexnet", (1, 4, 7, 9, 11)),
}
# lpips' ScalingLayer: ImageNet mean and deviation moved to images of -1..1
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class Canonical(Profile):
    name: ClassVar[str] = "canonical"
    perceptual_names: ClassVar[tuple[str, ...]] = ("lpips-vgg", "lpips-alex")

    def __init__(self, weights_dir: Path | None, device: str) -> None:
        super().__init__(device)
        self.weights_dir = weights_dir

    def pool(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        network = self._inception()
        with torch.inference_mode():
            # twice as fast in this layout; it rounds otherwise than torch-fidelity's, by less than 1e-6
            x = image_batch(images, self.device).contiguous(memory_format=torch.channels_last)
            features, logits = network(x)
            probabilities = logits.double().softmax(dim=1)
        return features.cpu().numpy(), probabilities.cpu().numpy()

    def perceptual(
        self, images: np.ndarray, network: str | None = None, *, scaled: bool = True
    ) -> list[torch.Tensor]:
        import torch

        layers, taps, heads = self._lpips(self.network_name(network))
        stages: list[torch.Tensor] = []
        with torch.inference_mode():
            x = image_batch(images, self.device).float()
            if scaled:
                x.div_(127.5).sub_(1.0)
            shift, scale = (torch.tensor(v, device=self.device)[None, :, None, None] for v in (SHIFT, SCALE))
            x.sub_(shift).div_(scale)
            for index, layer in enumerate(layers):
                x = layer(x)
                if index in taps:
                    stages.append(unit_vectors(x, heads[len(stages)]))
        return stages

    def _inception(self) -> Any:
        if "inception" not in self._networks:
            import torch
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

            path = find_weights(INCEPTION_2015, self.weights_dir)
            load_state(path)  # torch-fidelity reads pickles unguarded: refuse what is more than tensors first
            self.weights_sha256[path.name] = file_sha256(path)
            network = FeatureExtractorInceptionV3(
                "inception-2015", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
            )
            self._networks["inception"] = network.to(self.device, memory_format=torch.channels_last)
        return self._networks["inception"]

    def _lpips(self, name: str) -> tuple[Any, tuple[int, ...], list[torch.Tensor]]:
        if name not in self._networks:
            import torch
            from torchvision import models

            published, architecture, taps = TRUNKS[name]
            path = find_weights(published, self.weights_dir)
            heads_path = lpips_heads(name)
            with torch.random.fork_rng(devices=[]):  # building draws weights that are replaced at once
                trunk = getattr(models, architecture)(weights=None).features
            state = load_state(path)
            start = "features."
            trunk.load_state_dict({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
            trunk = trunk[: taps[-1] + 1].eval().requires_grad_(False).to(self.device)
            heads = [w.flatten().to(self.device) for w in load_state(heads_path).values()]
            self._weights_of[name] = {
                path.name: file_sha256(path),
                f"lpips-0.1-{heads_path.name}": file_sha256(heads_path),
            }
            self.weights_sha256 |= self._weights_of[name]
            self._networks[name] = (trunk.to(memory_format=torch.channels_last), taps, heads)
        return self._networks[name]


def lpips_heads(name: str) -> Path:
    """The linear heads that the lpips package ships. Raises WeightsMissingError where it is not installed."""
    package = importlib.util.find_spec("lpips")
    for folder in [] if package is None else list(package.submodule_search_locations or []):
        path = Path(folder) / "weights" / "v0.1" / f"{name.removeprefix('lpips-')}.pth"
        if path.is_file():
            return path
    raise WeightsMissingError("the LPIPS heads are missing: pip install lpips puts them in place")
