"""Scoring without a protocol: one folder of images, or of anomaly maps, against one data set."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.planning.config import PlanConfig, Skipped
from bench.record.labels import SCORE, CellLabels
from bench.record.trained_elsewhere import UNSTATED, TrainedElsewhere
from bench.stages.data import real_pools
from bench.stages.generator import GOOD, GeneratorCache
from bench.stages.ingest import DetectorMaps
from bench.stages.score_classification import ScoreClassification
from bench.stages.score_detection import ScoreDetection
from bench.stages.score_generation import ScoreGeneration, ScoreNormals
from bench.tasks import Task


def plan_images(config: PlanConfig, name: str, ingested: Mapping[str, Any]) -> Iterator[Task | Skipped]:
    """Generation metrics of ingested images on every category that they show."""
    split = config.splits[0]
    for category in split.categories:
        folders = ingested.get(category.name, {})
        labels = replace(
            _labels(config, category.name),
            generator=name,
            generated_per_type=max((params["count"] for params in folders.values()), default=0),
        )
        if not folders:
            yield Skipped(
                labels, ScoreGeneration.metrics(labels), f"the folder has no images of {category.name}"
            )
            continue
        real = real_pools(config, category)
        good = {defect: params for defect, params in folders.items() if defect == GOOD}
        anomalies = {defect: params for defect, params in folders.items() if defect != GOOD}
        if anomalies:
            pool = _ingested_pool(config, category.name, anomalies)
            yield ScoreGeneration.task(config, category, real, pool, labels)
        if good:
            pool = _ingested_pool(config, category.name, good)
            yield ScoreNormals.task(config, category, real, pool, labels)


def _ingested_pool(config: PlanConfig, category: str, folders: Mapping[str, Any]) -> Task:
    """The images of one category as one pool; `folders` is defect type to the parameters of its task."""
    counts = {defect: params["count"] for defect, params in folders.items()}
    return GeneratorCache.of_ingested(config, category, folders, counts)


def plan_predictions(
    config: PlanConfig,
    name: str,
    ingested: Mapping[str, Any],
    trained: TrainedElsewhere = UNSTATED,
) -> Iterator[Task | Skipped]:
    """Detection metrics (or, where only predicted types are given, accuracy) of ingested outputs."""
    split = config.splits[0]
    for category in split.categories:
        outputs = ingested[category.name]
        labels = replace(_labels(config, category.name), detector=name, **trained.labels)
        test = real_pools(config, category).test
        prediction = DetectorMaps.task(config, outputs)
        if {"maps", "scores"} & set(outputs["gives"]):
            yield ScoreDetection.task(config, labels, prediction, test)
        if "predicted" in outputs["gives"] and len(category.defects) > 1:
            classes = [(category.name, defect) for defect in category.defects]
            yield ScoreClassification.task(config, labels, prediction, test, classes)


def _labels(config: PlanConfig, category: str) -> CellLabels:
    split = config.splits[0]
    return CellLabels(
        protocol=SCORE,
        protocol_version=config.version,
        scale=config.scale,
        dataset=config.dataset,
        dataset_fingerprint=config.fingerprint,
        category=category,
        split=split.name,
        shots=split.shots,
        resolution=config.resolution,
    )
