"""Finds published weight files, checks them, and says what to do where one cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.download import download, hub_checkpoints
from bench.store.store import file_sha256


class WeightsMissingError(RuntimeError):
    """A weight file is neither there nor to be downloaded, or is not the published one."""


@dataclass(frozen=True)
class Published:
    """A published weight file: its publisher puts the first eight hex digits of the sha256 into the name."""

    stem: str
    sha256: str
    folder_url: str

    @property
    def file(self) -> str:
        return f"{self.stem}-{self.sha256[:8]}.pth"

    @property
    def own_file(self) -> str:
        """The name under which a user's own weights of that shape are taken, without a check."""
        return f"{self.stem}.pth"


PYTORCH = "https://download.pytorch.org/models/"
FIDELITY = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"

INCEPTION_2015 = Published(
    "weights-inception-2015-12-05",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    FIDELITY,
)
VGG16 = Published("vgg16", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", PYTORCH)
ALEXNET = Published(
    "alexnet-owt", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", PYTORCH
)


def find_weights(published: Published, weights_dir: Path | None) -> Path:
    """The published file from `weights_dir`, from torch hub's cache, or downloaded into that cache.

    `weights_dir` may instead hold a file of the same name without the digits (`vgg16.pth`): other weights
    of the same shape, told apart in records by their sha256. Raises WeightsMissingError.
    """
    if weights_dir is not None:
        path = weights_dir / published.own_file
        if path.is_file():
            return path
    cache = hub_checkpoints()
    for folder in (weights_dir, cache):
        if folder is not None and (folder / published.file).is_file():
            path = folder / published.file
            sha256 = file_sha256(path)
            if sha256 != published.sha256:
                raise WeightsMissingError(
                    f"{path} is not the published file: its sha256 is {sha256[:16]}..., not "
                    f"{published.sha256[:16]}...; replace it, or name your own weights {published.own_file}"
                )
            return path
    target = cache / published.file
    url = published.folder_url + published.file
    try:
        download(url, target, published.sha256)
    except OSError as error:
        folder = weights_dir if weights_dir is not None else cache
        raise WeightsMissingError(
            f"the weights {published.file} (sha256 {published.sha256[:16]}...) are not there and could not "
            f"be downloaded from {url} ({error}): put the file into {folder}; --features embedded works "
            "without it"
        ) from error
    return target


def load_state(path: Path) -> dict[str, Any]:
    """The tensors of a weight file, on the CPU; no pickled code is run. Raises WeightsMissingError."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise nearly anything inside the reader
        raise WeightsMissingError(f"{path} is not a readable weight file; download it again") from error
    if not isinstance(state, dict):
        raise WeightsMissingError(f"{path} holds no table of tensors; download it again")
    return state
