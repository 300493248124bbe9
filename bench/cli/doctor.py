"""`bench doctor`: what this machine has and lacks."""

import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.features.embedded import embedded_weights
from bench.features.weights import WeightsMissingError
from bench.methods import registry
from bench.methods.packages import why_unusable
from bench.planning.protocol_file import load_protocol
from bench.runner.machine import default_workers
from bench.store import open_store
from bench.store.environment import environment
from bench.store.store import check_writable


def doctor_command(weights: Path | None, store_root: Path) -> int:
    """Print what was found; 0 if the default run can work here, 1 otherwise."""
    facts = environment()
    print(f"python {facts['python']} on {facts['os']}, {facts['cpu']}, {facts['cores']} cores")
    print(f"GPUs: {', '.join(facts['gpus']) or 'none; everything runs on the CPU'}")
    print(f"tasks at once: {default_workers()}")
    for package, version in facts["packages"].items():
        print(f"  {package} {version}")
    faults = [f"{name} is not installed" for name in _absent(facts["packages"])]
    faults += _adapter_faults()
    try:
        print(f"embedded features: {embedded_weights().name}")
    except WeightsMissingError as error:
        faults.append(str(error))
    print(f"weights folder: {weights or 'none (--weights or DEFECTBENCH_WEIGHTS)'}")
    faults += _store_faults(store_root)
    for fault in faults:
        print(f"FAULT: {fault}")
    print("all is well" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


_TWINS = {"opencv-python": "opencv-python-headless"}
"""What serves as well."""


def _absent(packages: dict[str, str]) -> list[str]:
    """What defectbench requires and is not installed."""
    names = []
    for line in metadata.requires("defectbench") or []:
        name = line.partition(";")[0].split(">")[0].split("=")[0].strip()
        if "extra ==" not in line and not {name, _TWINS.get(name)} & packages.keys():
            try:
                metadata.version(name)
            except metadata.PackageNotFoundError:
                names.append(name)
    return names


def _adapter_faults() -> list[str]:
    """What cannot be imported: the modules of methods and protocols, and what methods load when they work."""
    faults = []
    loading: dict[str, Callable[[str], Any]] = {
        "generator": partial(registry.load, "generator"),
        "detector": partial(registry.load, "detector"),
        "protocol": load_protocol,
    }
    for kind, load in loading.items():
        for name in registry.names(kind):
            try:
                loaded = load(name)
            except BenchError as error:
                faults.append(str(error))
                continue
            reasons = _unusable(getattr(loaded, "packages", ()))
            reasons = reasons or _unloadable(getattr(loaded, "imports", ()))
            faults += [f"{kind} '{name}': {reason}" for reason in reasons]
    return faults


def _unusable(packages: Sequence[str]) -> list[str]:
    return list(filter(None, map(why_unusable, packages)))


def _unloadable(modules: Sequence[str]) -> list[str]:
    """Why each module that cannot be imported cannot; packages that are no part of an installation apart."""
    reasons = []
    for module in modules:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _optional():
                reasons.append(f"{module} cannot be imported ({error})")
        except Exception as error:  # libraries raise what they like
            reasons.append(f"{module} cannot be imported ({' '.join(str(error).split())})")
    return reasons


def _optional() -> set[str]:
    """What the extras of defectbench bring."""
    lines = [line for line in metadata.requires("defectbench") or [] if "extra ==" in line]
    return {line.partition(";")[0].split(">")[0].split("=")[0].strip() for line in lines}


def _store_faults(root: Path) -> list[str]:
    if not root.exists():
        free = shutil.disk_usage(Path.cwd()).free
        print(f"store {root}: none yet, {free >> 30} GiB free")
        return (
            [] if os.access(Path.cwd(), os.W_OK) else [f"{Path.cwd()} cannot be written, so no store can be"]
        )
    try:
        store = open_store(root)
        check_writable(store)
    except BenchError as error:
        return [str(error)]
    print(f"store {root}: {len(list(store.keys()))} tasks, {shutil.disk_usage(root).free >> 30} GiB free")
    return []
