"""The stages: what a task can do. Each is a function of a StageRun that writes into `out`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.methods.context import Context


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
    """One execution of a stage."""

    params: Mapping[str, Any]
    adapter: str
    inputs: Inputs
    sources: Path
    """Folder of the lists that say where on this machine the files of a data part lie."""
    out: Path
    context: Context


@dataclass(frozen=True)
class Stage:
    """A stage by name: where its function is, and the version that is part of every key."""

    target: str
    version: int
    imports: tuple[str, ...] = ()
    """Slow modules that the stage needs; a worker imports them once for all its tasks."""

    def load(self) -> Callable[[StageRun], None]:
        module, _, name = self.target.partition(":")
        return getattr(import_module(module), name)


_FEATURES = ("timm", "bench.features.embedded", "bench.metrics")
_METRICS = ("numba", "scipy.ndimage", "bench.metrics.bootstrap_pixels")

STAGES: Mapping[str, Stage] = {
    "data.cache": Stage("bench.stages.data:cache", 1),
    "data.duplicates": Stage("bench.stages.data:duplicates", 1),
    "data.truth": Stage("bench.stages.dialects:truth", 1),
    "generator.derive": Stage("bench.stages.generator:derive", 1),
    "generator.fit": Stage("bench.stages.generator:fit", 1),
    "generator.sample": Stage("bench.stages.generator:sample", 1),
    "generator.cache": Stage("bench.stages.generator:cache", 1),
    "generator.ingest": Stage("bench.stages.ingest:generator", 1),
    "features": Stage("bench.stages.features:features", 2, _FEATURES),
    "features.perceptual": Stage("bench.stages.features:perceptual", 1, _FEATURES),
    "generation.nearest": Stage("bench.stages.copies_and_mask_fit:nearest", 1, _FEATURES),
    "generation.agreement": Stage("bench.stages.copies_and_mask_fit:agreement", 2, ("scipy.ndimage",)),
    "score.generation": Stage("bench.stages.score_generation:score", 3, _METRICS),
    "score.normals": Stage("bench.stages.score_generation:score_normals", 1, _METRICS),
    "detector.fit": Stage("bench.stages.detector:fit", 2),
    "data.depth_images": Stage("bench.stages.depth:images", 1),
    "detector.fuse": Stage("bench.stages.depth:fuse", 1),
    "detector.predict": Stage("bench.stages.detector:predict", 1),
    "detector.ingest": Stage("bench.stages.ingest:detector", 1),
    "detector.maps": Stage("bench.stages.ingest:maps", 1),
    "score.detection": Stage("bench.stages.score_detection:score", 2, _METRICS),
    "score.dialects": Stage("bench.stages.dialects:score", 2, ("bench.metrics", "bench.data.images")),
    "score.classification": Stage("bench.stages.score_classification:score", 1, _METRICS),
}
