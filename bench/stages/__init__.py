"""The stages: what a task can do, by name. `bench.stages.stage` says what a stage is."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from bench.stages.stage import Stage


@cache
def stage_class(name: str) -> type[Stage[Any]]:
    """The class of a stage; KeyError where no stage has that name."""
    module, _, target = STAGES[name].partition(":")
    return getattr(import_module(module), target)


STAGES: Mapping[str, str] = {
    "data.cache": "bench.stages.data:DataCache",
    "data.duplicates": "bench.stages.data:DataDuplicates",
    "data.truth": "bench.stages.truth:DataTruth",
    "data.depth_images": "bench.stages.depth:DepthImages",
    "generator.derive": "bench.stages.generator:GeneratorDerive",
    "generator.fit": "bench.stages.generator:GeneratorFit",
    "generator.sample": "bench.stages.generator:GeneratorSample",
    "generator.cache": "bench.stages.generator:GeneratorCache",
    "generator.ingest": "bench.stages.ingest:GeneratorIngest",
    "features": "bench.stages.features:PoolFeatures",
    "features.perceptual": "bench.stages.features:PerceptualFeatures",
    "features.lpips": "bench.stages.features:LpipsFeatures",
    "generation.nearest": "bench.stages.copies_and_mask_fit:NearestImages",
    "generation.agreement": "bench.stages.copies_and_mask_fit:MaskFit",
    "score.generation": "bench.stages.score_generation:ScoreGeneration",
    "score.normals": "bench.stages.score_generation:ScoreNormals",
    "detector.fit": "bench.stages.detector:DetectorFit",
    "detector.predict": "bench.stages.detector:DetectorPredict",
    "detector.fuse": "bench.stages.depth:DetectorFuse",
    "detector.ingest": "bench.stages.ingest:DetectorIngest",
    "detector.maps": "bench.stages.ingest:DetectorMaps",
    "score.detection": "bench.stages.score_detection:ScoreDetection",
    "score.classification": "bench.stages.score_classification:ScoreClassification",
}
"""Name to module and class; a plan and a worker import the classes that they need."""
