"""Which weight files an AnomalyHybrid with given options needs, where they are, and what is missing.

Loads no torch: the planner asks before any work starts.
"""

import importlib.util
import os
from pathlib import Path

from bench.download import download, hub_checkpoints
from bench.errors import BenchError
from bench.methods.packages import why_unusable
from bench.store.store import file_sha256
from bench.tasks import digest
from generators.anomalyhybrid.params import AnomalyHybridParams

PIDINET = "table5_pidinet.pth"
PIDINET_SHA256 = "80860ac267258b5f27486e0ef152a211d0b08120f62aeb185a050acc30da486c"
PIDINET_URL = f"https://raw.githubusercontent.com/hellozhuo/pidinet/master/trained_models/{PIDINET}"
"""Licence: research only; whoever wants to use it commercially asks its authors. So it is not shipped."""
DEPTH_ANYTHING = "Depth-Anything-V2-Small-hf"
DEPTH_ANYTHING_HUB = f"depth-anything/{DEPTH_ANYTHING}"
VGG19 = "vgg19-dcbb9e9d.pth"
VGG19_URL = f"https://download.pytorch.org/models/{VGG19}"


def missing_sources(owner: str, params: AnomalyHybridParams, weights: Path | None) -> list[str]:
    """One sentence for each weight file or package that is needed and cannot be had."""
    problems = []
    if params.edges == "pidinet":
        try:
            find_pidinet(weights)
        except BenchError as error:
            problems.append(f"'{owner}': {error}, or use --set {owner}.edges=canny")
    if params.edges == "canny" and (reason := why_unusable("cv2")):
        problems.append(f"'{owner}' finds edges with OpenCV: {reason}")
    if params.depth == "depth_anything":
        if importlib.util.find_spec("transformers") is None:
            problems.append(
                f"'{owner}' runs Depth Anything by transformers: pip install 'defectbench[diffusion]', "
                f"or use --set {owner}.depth=shading"
            )
        elif find_depth_anything(weights) is None:
            problems.append(
                f"'{owner}' needs Depth Anything V2 Small: hf download {DEPTH_ANYTHING_HUB} --local-dir "
                f"{weights or 'WEIGHTS'}/{DEPTH_ANYTHING} and --weights, or use --set {owner}.depth=shading"
            )
    if params.perceptual == "vgg" and find_vgg19(weights) is None:
        folder = weights or hub_checkpoints()
        problems.append(
            f"'{owner}' needs the VGG-19 weights {VGG19}: put {VGG19_URL} into {folder}, "
            f"or use --set {owner}.perceptual=embedded"
        )
    return problems


def digest_of_sources(params: AnomalyHybridParams, weights: Path | None) -> str:
    """Digest of the depth estimator's files; "" without it. The other weights are pinned by their names."""
    folder = find_depth_anything(weights) if params.depth == "depth_anything" else None
    if folder is None:
        return ""
    return digest({p.name: file_sha256(p) for p in folder.iterdir() if p.suffix in (".json", ".safetensors")})


def find_vgg19(weights: Path | None) -> Path | None:
    folders = [hub_checkpoints()] if weights is None else [weights, hub_checkpoints()]
    return next((folder / VGG19 for folder in folders if (folder / VGG19).is_file()), None)


def find_depth_anything(weights: Path | None) -> Path | None:
    """A folder with config.json and weights in transformers' layout: local, or the hub's cache."""
    if weights is not None and (weights / DEPTH_ANYTHING / "config.json").is_file():
        return weights / DEPTH_ANYTHING
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("HF_HOME", f"{cache}/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", str(home / "hub")))
    snapshots = hub / f"models--{DEPTH_ANYTHING_HUB.replace('/', '--')}" / "snapshots"
    return next((path.parent for path in sorted(snapshots.glob("*/config.json"))), None)


def find_pidinet(weights: Path | None) -> Path:
    """The authors' checkpoint, fetched from them on first use; BenchError where it cannot be had.

    `weights` and torch hub's folder are looked through; a file with another sha256 is refused.
    """
    folders = [hub_checkpoints()] if weights is None else [weights, weights / "pidinet", hub_checkpoints()]
    for folder in folders:
        if (folder / PIDINET).is_file():
            return _checked(folder / PIDINET)
    target = hub_checkpoints() / PIDINET
    try:
        download(PIDINET_URL, target, PIDINET_SHA256)
    except OSError as error:
        raise BenchError(
            f"the edge detector's weights {PIDINET} are not there and could not be fetched ({error}): "
            f"put {PIDINET_URL} into {weights or hub_checkpoints()}"
        ) from None
    return target


def _checked(path: Path) -> Path:
    sha256 = file_sha256(path)
    if sha256 != PIDINET_SHA256:
        raise BenchError(
            f"{path} is not the published PiDiNet: its sha256 starts with {sha256[:8]}, not "
            f"{PIDINET_SHA256[:8]}; fetch {PIDINET_URL} again"
        )
    return path


__all__ = ["digest_of_sources", "find_depth_anything", "find_pidinet", "find_vgg19", "missing_sources"]
