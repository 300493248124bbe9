"""Weight files of randomly initialised networks, and small images."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory) -> Path:
    """A folder with own (not the published) weights of Inception, VGG-16 and AlexNet, from a seed."""
    from torchvision import models

    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for stem, build in (("vgg16", models.vgg16), ("alexnet-owt", models.alexnet)):
            state = build(weights=None).features.state_dict()
            torch.save(
                {f"features.{key}": lively(value) for key, value in state.items()}, folder / f"{stem}.pth"
            )
        state = {
            key: lively(value) if ".bn." not in key else value
            for key, value in bare_inception().state_dict().items()
        }
        # spread features and classes, so that KID is far from 0 and the Inception Score from 1
        last = ("1x1", "2a", "2b", "3a", "3b", "pool")
        for key in state:
            block, branch, *rest = key.split(".")
            if block == "Mixed_7c" and branch.endswith(last) and rest == ["bn", "weight"]:
                state[key] = state[key] * 5.0
        state["fc.weight"] *= 40.0
        torch.save(state, folder / "weights-inception-2015-12-05.pth")
    return folder


def lively(value: torch.Tensor) -> torch.Tensor:
    """He-scaled weights and small biases: activations neither die nor explode with depth."""
    if value.dim() < 2:
        return 0.05 * torch.randn_like(value)
    return torch.randn_like(value) * (2.0 / value[0].numel()) ** 0.5


def bare_inception() -> torch.nn.Module:
    """torch-fidelity's Inception with the weights that its layers start with."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    class Bare(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            return None

    with mock.patch.object(module, "load_state_dict_from_url", return_value={}):
        return Bare("bare", ["2048", "logits_unbiased"])


def blobs(count: int, side: int, seed: int, tint: float = 0.0) -> np.ndarray:
    """uint8 RGB [N, side, side, 3]: smooth coloured patches, no two alike; `tint` moves the colours."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((count, 3, 5, 5)) * rng.uniform(0.2, 1, (count, 3, 1, 1)))
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", antialias=False)
    image = (
        smooth.permute(0, 2, 3, 1).numpy()
        + tint * np.array([1, -0.5, 0])
        + rng.normal(0, 0.02, (count, side, side, 3))
    )
    return (image.clip(0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="session")
def images():
    return blobs
