"""The stages: what a task can do, by name. `bench.stages.stage` says what a stage is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.stages import stage
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
class _FunctionRun(stage.StageRun):
    """One execution of a stage that is still a function."""

    inputs: Inputs


StageRun = _FunctionRun


@dataclass(frozen=True)
class FunctionStage:
    """A stage that is still a function: where it is, and the version that is part of every key."""

    target: str
    version: int
    imports: tuple[str, ...] = ()

    def load(self) -> Callable[[_FunctionRun], None]:
        module, _, name = self.target.partition(":")
        return getattr(import_module(module), name)


@cache
def stage_class(name: str) -> type[Stage[Any]]:
    """The class of a stage; KeyError where no stage has that name."""
    module, _, target = STAGES[name].partition(":")
    return getattr(import_module(module), target)


STAGES: Mapping[str, str] = {
    "data.cache": "bench.stages.data:DataCache",
    "data.duplicates": "bench.stages.data:DataDuplicates",
    "data.depth_images": "bench.stages.depth:DepthImages",
    "generator.derive": "bench.stages.generator:GeneratorDerive",
    "generator.fit": "bench.stages.generator:GeneratorFit",
    "generator.sample": "bench.stages.generator:GeneratorSample",
    "generator.cache": "bench.stages.generator:GeneratorCache",
    "generator.ingest": "bench.stages.ingest:GeneratorIngest",
    "features": "bench.stages.features:PoolFeatures",
    "features.perceptual": "bench.stages.features:PerceptualFeatures",
    "detector.fit": "bench.stages.detector:DetectorFit",
    "detector.predict": "bench.stages.detector:DetectorPredict",
    "detector.fuse": "bench.stages.depth:DetectorFuse",
    "detector.ingest": "bench.stages.ingest:DetectorIngest",
    "detector.maps": "bench.stages.ingest:DetectorMaps",
}
"""Name to module and class; a plan and a worker import the classes that they need."""

_FEATURES = ("timm", "bench.features.embedded", "bench.metrics")
_METRICS = ("numba", "scipy.ndimage", "bench.metrics.bootstrap_pixels")

FUNCTIONS: Mapping[str, FunctionStage] = {
    "data.truth": FunctionStage("bench.stages.dialects:truth", 1),
    "generation.nearest": FunctionStage("bench.stages.copies_and_mask_fit:nearest", 1, _FEATURES),
    "generation.agreement": FunctionStage(
        "bench.stages.copies_and_mask_fit:agreement", 2, ("scipy.ndimage",)
    ),
    "score.generation": FunctionStage("bench.stages.score_generation:score", 3, _METRICS),
    "score.normals": FunctionStage("bench.stages.score_generation:score_normals", 1, _METRICS),
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
