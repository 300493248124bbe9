"""Score generated images: IS, LPIPS and IC-LPIPS per type, then their means; KID and FID of a category.

Normal images have KID alone, in a task of their own.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.planning.config import CategoryPlan, PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.record.record import Record, write_records
from bench.stages.copies_and_mask_fit import MaskFit, NearestImages
from bench.stages.data import RealPools
from bench.stages.features import LpipsFeatures, PerceptualFeatures, PoolFeatures
from bench.stages.generation_records import (
    ImageFeatures,
    honesty_records,
    ic_lpips_records,
    is_records,
    lpips_records,
    set_records,
)
from bench.stages.stage import Metrics, Output, Stage, StageRun, T
from bench.tasks import Task

IMPORTS = ("bench.metrics.bootstrap",)
_NAMES = {"embedded": "embedded: EfficientNet-Lite0", "canonical": "canonical: Inception-2015"}
"""Feature profile to what records call the network behind IS, KID and FID."""


@dataclass(frozen=True)
class GenerationScore(Stage[T]):
    """A score of generated images that are compared with real ones; its inputs are features."""

    generated: T

    @property
    def real(self) -> T:
        raise NotImplementedError


@dataclass(frozen=True)
class ScoreGeneration(GenerationScore[T]):
    """records.jsonl of the anomalies of one generator on one category."""

    name, version = "score.generation", 5
    imports = IMPORTS
    base: T
    perceptual: T
    lpips: T
    nearest: T
    agreement: T

    @property
    def real(self) -> T:
        return self.base

    @staticmethod
    def task(
        config: PlanConfig, category: CategoryPlan, real: RealPools, generated: Task, labels: CellLabels
    ) -> Task:
        stage = ScoreGeneration(
            generated=PoolFeatures.task(config, category, generated),
            base=PoolFeatures.task(config, category, real.base),
            perceptual=PerceptualFeatures.task(config, category, real, generated),
            lpips=LpipsFeatures.task(config, category, generated),
            nearest=NearestImages.task(config, category, real, generated),
            agreement=MaskFit.task(category, real, generated),
        )
        return stage.to_task(_params(config, category, labels))

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned(_level(labels.modality))

    def run(self: "ScoreGeneration[Output]", run: StageRun) -> None:
        generated, base = _read_features(self.generated.folder), _read_features(self.base.folder)
        level = _level(run.params["labels"].get("modality", "rgb"))
        template = _template(run, self.generated, generated, level)
        records = [
            *is_records(template, generated),
            *set_records(template, generated, base, "base third of the category", _kid_dialects(run)),
        ]
        weights = _read(self.perceptual.folder / "index.json")["weights_sha256"]
        template = replace(template, weights_sha256=",".join(sorted(weights.values())))
        records += lpips_records(template, _read(self.lpips.folder / "lpips.json"))
        records += ic_lpips_records(template, _read(self.perceptual.folder / "ic_lpips.json"))
        nearest, agreement = self.nearest.folder / "nearest.json", self.agreement.folder / "agreement.json"
        records += honesty_records(template, _read(nearest), _read(agreement))
        write_records(run.out / "records.jsonl", records)


@dataclass(frozen=True)
class ScoreNormals(GenerationScore[T]):
    """records.jsonl of the normal images of one generator on one category: KID against train/good."""

    name, version = "score.normals", 2
    imports = IMPORTS
    normal: T

    @property
    def real(self) -> T:
        return self.normal

    @staticmethod
    def task(
        config: PlanConfig, category: CategoryPlan, real: RealPools, generated: Task, labels: CellLabels
    ) -> Task:
        stage = ScoreNormals(
            generated=PoolFeatures.task(config, category, generated),
            normal=PoolFeatures.task(config, category, real.normal),
        )
        return stage.to_task(_params(config, category, labels))

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned("generation-normal")

    def run(self: "ScoreNormals[Output]", run: StageRun) -> None:
        generated, normal = _read_features(self.generated.folder), _read_features(self.normal.folder)
        template = _template(run, self.generated, generated, "generation-normal")
        records = set_records(template, generated, normal, "train/good", _kid_dialects(run))
        write_records(run.out / "records.jsonl", records)


def _params(config: PlanConfig, category: CategoryPlan, labels: CellLabels) -> dict[str, Any]:
    params: dict[str, Any] = {"labels": labels.to_json(), "category": category.name}
    return params if config.kid == ("default",) else {**params, "kid": list(config.kid)}


def _kid_dialects(run: StageRun) -> list[str]:
    return run.params.get("kid", ["default"])


def _level(modality: str) -> str:
    return "generation-depth" if modality == "depth" else "generation"


def _template(run: StageRun, source: Output, generated: ImageFeatures, level: str) -> Record:
    """What all records of a task have in common; `source` is the task that made `generated`."""
    return Record(
        **run.params["labels"],
        level=level,
        unit="",
        metric_version=1,
        features=_NAMES[source.params["features"]],
        weights_sha256=",".join(sorted(generated.weights.values())),
    )


def _read_features(folder: Path) -> ImageFeatures:
    index = _read(folder / "index.json")
    return ImageFeatures(
        np.load(folder / "features.npy", allow_pickle=False),
        np.load(folder / "probabilities.npy", allow_pickle=False),
        tuple(index["defects"]),
        index["weights_sha256"],
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
