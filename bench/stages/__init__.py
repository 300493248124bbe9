"""The stages: what a task can do, by name. `bench.stages.stage` says what a stage is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.methods.context import Context
from bench.stages.stage import Stage


@dataclass(frozen=True)
class Inputs:
    """The outputs of the tasks that a task rests on, by role."""

    folders: dict[str, list[Path]]
    definitions: dict[str, list[dict[str, Any]]]

    def one(self, role: str) -> Path:
        """The folder of the only input with this role."""
        (folder,) = self.folders[role]
        return folder

    def under(self, prefix: str) -> dict[str, list[Path]]:
        """Inputs with roles "prefix/name", by name, in the order of the definition."""
        start = f"{prefix}/"
        return {role[len(start) :]: found for role, found in self.folders.items() if role.startswith(start)}


@dataclass(frozen=True)
class StageRun:
    """One execution of a stage that is still a function."""

    params: Mapping[str, Any]
    adapter: str
    inputs: Inputs
    sources: Path
    """Folder of the lists that say where on this machine the files of a data part lie."""
    out: Path
    context: Context


@dataclass(frozen=True)
class FunctionStage:
    """A stage that is still a function: where it is, and the version that is part of every key."""

    target: str
    version: int
    imports: tuple[str, ...] = ()

    def load(self) -> Callable[[StageRun], None]:
        module, _, name = self.target.partition(":")
        return getattr(import_module(module), name)


@cache
def stage_class(name: str) -> type[Stage[Any]]:
    """The class of a stage; KeyError where no stage has that name."""
    module, _, target = STAGES[name].partition(":")
    return getattr(import_module(module), target)


STAGES: Mapping[str, str] = {
    "data.depth_images": "bench.stages.depth:DepthImages",
    "detector.fuse": "bench.stages.depth:DetectorFuse",
}
"""Name to module and class; a plan and a worker import the classes that they need."""

_FEATURES = ("timm", "bench.features.embedded", "bench.metrics")
_METRICS = ("numba", "scipy.ndimage", "bench.metrics.bootstrap_pixels")

FUNCTIONS: Mapping[str, FunctionStage] = {
    "data.cache": FunctionStage("bench.stages.data:cache", 1),
    "data.duplicates": FunctionStage("bench.stages.data:duplicates", 1),
    "data.truth": FunctionStage("bench.stages.dialects:truth", 1),
    "generator.derive": FunctionStage("bench.stages.generator:derive", 1),
    "generator.fit": FunctionStage("bench.stages.generator:fit", 1),
    "generator.sample": FunctionStage("bench.stages.generator:sample", 1),
    "generator.cache": FunctionStage("bench.stages.generator:cache", 1),
    "generator.ingest": FunctionStage("bench.stages.ingest:generator", 1),
    "features": FunctionStage("bench.stages.features:features", 2, _FEATURES),
    "features.perceptual": FunctionStage("bench.stages.features:perceptual", 1, _FEATURES),
    "generation.nearest": FunctionStage("bench.stages.copies_and_mask_fit:nearest", 1, _FEATURES),
    "generation.agreement": FunctionStage(
        "bench.stages.copies_and_mask_fit:agreement", 2, ("scipy.ndimage",)
    ),
    "score.generation": FunctionStage("bench.stages.score_generation:score", 3, _METRICS),
    "score.normals": FunctionStage("bench.stages.score_generation:score_normals", 1, _METRICS),
    "detector.fit": FunctionStage("bench.stages.detector:fit", 2),
    "detector.predict": FunctionStage("bench.stages.detector:predict", 1),
    "detector.ingest": FunctionStage("bench.stages.ingest:detector", 1),
    "detector.maps": FunctionStage("bench.stages.ingest:maps", 1),
    "score.detection": FunctionStage("bench.stages.score_detection:score", 2, _METRICS),
    "score.dialects": FunctionStage("bench.stages.dialects:score", 2, ("bench.metrics", "bench.data.images")),
    "score.classification": FunctionStage("bench.stages.score_classification:score", 1, _METRICS),
}
"""The stages that are still functions."""


def version_of(name: str) -> int:
    return FUNCTIONS[name].version if name in FUNCTIONS else stage_class(name).version


def imports_of(name: str) -> tuple[str, ...]:
    """The modules that a run of a stage needs."""
    if name in FUNCTIONS:
        return (*FUNCTIONS[name].imports, FUNCTIONS[name].target.partition(":")[0])
    return stage_class(name).imports
