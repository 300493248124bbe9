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
        torch.save(lively_inception(), folder / "weights-inception-2015-12-05.pth")
        for stem, build in (("vgg16", models.vgg16), ("alexnet-owt", models.alexnet)):
            state = build(weights=None).features.state_dict()
            torch.save(
                {f"features.{key}": lively(value) for key, value in state.items()}, folder / f"{stem}.pth"
            )
    return folder


def lively(value: torch.Tensor) -> torch.Tensor:
    """He-scaled weights and small biases: activations neither die nor explode with depth."""
    if value.dim() < 2:
        return 0.05 * torch.randn_like(value)
    return torch.randn_like(value) * (2.0 / value[0].numel()) ** 0.5


def lively_inception() -> dict[str, torch.Tensor]:
    """Weights whose features spread and whose classes disagree, so that KID is far from 0 and IS from 1."""
    network = bare_inception()
    state = network.state_dict()
    last = ("1x1", "2a", "2b", "3a", "3b", "pool")
    for key, value in state.items():
        block, branch, *rest = (*key.split("."), "")
        if rest[0] != "bn" and branch != "bn":
            value.copy_(lively(value))
        elif block == "Mixed_7c" and branch.endswith(last) and rest[1] == "weight":
            value.mul_(3.0)
    pictures = torch.from_numpy(np.concatenate([blobs(6, 64, 1), blobs(6, 64, 2, 0.3)])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        features, _ = network(pictures.contiguous())
        # the features of a random network are nearly alike: the head looks at what differs between images
        mean, head = features.mean(dim=0), state["fc.weight"]
        head -= (head @ mean)[:, None] * mean / mean.dot(mean)
        head *= 1.5 / (features @ head.T).std()
    return {key: value.clone() for key, value in state.items()}


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
