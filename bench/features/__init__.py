"""Feature profiles: which networks the generation metrics look through.

`canonical` is what papers use (Inception-2015, LPIPS vgg and alex); `embedded` needs no network connection
(EfficientNet-Lite0 with ImageNet weights from a Python package). A profile is part of every record's
comparability: numbers of two profiles never share a column.

Importing this module loads no torch.
"""

from __future__ import annotations

from pathlib import Path

from bench.features.profile import FeatureInputError, Profile
from bench.features.weights import WeightsMissingError

PROFILES = ("canonical", "embedded")

__all__ = ["PROFILES", "FeatureInputError", "Profile", "WeightsMissingError", "profile"]


def profile(name: str, weights_dir: Path | None = None, device: str = "cpu") -> Profile:
    """The profile of that name; its networks are built, and weights read, at first use.

    name: `canonical` or `embedded`. weights_dir: where weight files are looked for first.
    device: a torch device ("cpu", "cuda", "cuda:1"). Raises ValueError on another name.
    """
    if name == "canonical":
        from bench.features.canonical import Canonical

        return Canonical(weights_dir, device)
    if name == "embedded":
        from bench.features.embedded import Embedded

        return Embedded(device)
    raise ValueError(f"unknown feature profile '{name}'; there are: {', '.join(PROFILES)}")
