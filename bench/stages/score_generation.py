"""Score generated images: IS and IC-LPIPS a defect type, then their means; KID pooled over a category.

Normal images have KID alone, in a task of their own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np

from bench.metrics import Estimate, UndefinedMetricError, inception_score, kid
from bench.metrics.bootstrap import bootstrap_clusters, percentile_interval
from bench.metrics.ic_lpips import IcLpips
from bench.planning.config import CategoryPlan, PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.record.record import Record, write_records
from bench.stages.copies_and_mask_fit import MaskFit, NearestImages
from bench.stages.data import RealPools
from bench.stages.features import PerceptualFeatures, PoolFeatures
from bench.stages.score_detection import SCORE_IMPORTS
from bench.stages.stage import Metrics, Output, Stage, StageRun, T
from bench.streams import stream
from bench.tasks import Task

ANY = "any"
_SPLITS = 10
_CLUSTER_REPLICATES = 1000
_CENTRES = {
    "default": "base third of the type",
    "anomalyhybrid": "held-out images of the type, at most 100 (the paper says type or product, D31)",
}
"""What the clusters of a dialect lie about."""


@dataclass(frozen=True)
class _Features:
    features: np.ndarray
    probabilities: np.ndarray
    defects: tuple[str, ...]
    weights: dict[str, str]


@dataclass(frozen=True)
class GenerationScore(Stage[T]):
    """A score of generated images that are compared with real ones; its inputs are features."""

    generated: T

    @property
    def real(self) -> T:
        raise NotImplementedError


@dataclass(frozen=True)
class ScoreGeneration(GenerationScore[T]):
    """The records of the anomalies of one generator on one category."""

    name, version = "score.generation", 3
    imports = SCORE_IMPORTS
    base: T
    perceptual: T
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
            nearest=NearestImages.task(config, category, real, generated),
            agreement=MaskFit.task(category, real, generated),
        )
        return stage.to_task({"labels": labels.to_json(), "category": category.name})

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned("generation-depth" if labels.modality == "depth" else "generation")

    def run(self: "ScoreGeneration[Output]", run: StageRun) -> None:
        generated, base = _read(self.generated.folder), _read(self.base.folder)
        level = "generation-depth" if run.params["labels"].get("modality") == "depth" else "generation"
        template = _template(run, self.generated, generated, level)
        records = [
            *_is_records(template, generated),
            _kid_record(template, generated, base, "base third of the category"),
        ]
        perceptual = self.perceptual.folder
        weights = json.loads((perceptual / "index.json").read_text())["weights_sha256"]
        found = json.loads((perceptual / "ic_lpips.json").read_text())
        template = replace(template, weights_sha256=",".join(sorted(weights.values())))
        records += _ic_lpips_records(template, found)
        records += _honesty_records(template, self.nearest.folder, self.agreement.folder)
        write_records(run.out / "records.jsonl", records)


@dataclass(frozen=True)
class ScoreNormals(GenerationScore[T]):
    """The record of the normal images of one generator on one category: KID against train/good."""

    name, version = "score.normals", 1
    imports = SCORE_IMPORTS
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
        return stage.to_task({"labels": labels.to_json(), "category": category.name})

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned("generation-normal")

    def run(self: "ScoreNormals[Output]", run: StageRun) -> None:
        generated, normal = _read(self.generated.folder), _read(self.normal.folder)
        template = _template(run, self.generated, generated, "generation-normal")
        write_records(run.out / "records.jsonl", [_kid_record(template, generated, normal, "train/good")])


def _template(run: StageRun, source: Output, generated: _Features, level: str) -> Record:
    return Record(
        **run.params["labels"],
        level=level,
        unit="",
        metric_version=1,
        features=_features_name(source),
        weights_sha256=",".join(sorted(generated.weights.values())),
    )


def _is_records(template: Record, generated: _Features) -> Iterator[Record]:
    """IS of each type with its split spread, and their mean. None where the generator knows no types."""
    template = replace(template, metric="is", unit="1", reference="none", ci_method="")
    types = [name for name in dict.fromkeys(generated.defects) if name != ANY]
    rows = []
    for defect in types:
        chosen = [index for index, name in enumerate(generated.defects) if name == defect]
        splits = min(_SPLITS, len(chosen))
        note = "" if splits == _SPLITS else f"{splits} splits, since there are {len(chosen)} images"
        estimate = inception_score(generated.probabilities[chosen], splits=splits)
        row = replace(template, defect=defect, value=estimate.value, n=len(chosen), note=note)
        rows.append(_with_error(row, float(estimate.error / np.sqrt(splits)), "the spread over splits"))
    yield from rows
    yield from _mean_of(rows)


def _kid_record(template: Record, generated: _Features, real: _Features, reference: str) -> Record:
    """KID of generated images against real ones of their kind."""
    row = replace(
        template, metric="kid", direction="lower", unit="1", reference=reference, n=len(generated.defects)
    )
    try:
        estimate: Estimate = kid(generated.features, real.features)
    except UndefinedMetricError as error:
        return replace(row, status="undefined", note=str(error))
    return _with_error(replace(row, value=estimate.value), estimate.error, estimate.error_kind)


def _ic_lpips_records(template: Record, found: dict[str, Any]) -> Iterator[Record]:
    """IC-LPIPS and IC-LPIPS(a) of each type with a bootstrap over its clusters, and their means."""
    for key in sorted({key for results in found.values() for key in results}):
        metric, _, dialect = key.partition("@")
        rows = [_ic_lpips_record(template, metric, dialect, name, each[key]) for name, each in found.items()]
        yield from rows
        yield from _mean_of(rows)


def _ic_lpips_record(
    template: Record, metric: str, dialect: str, defect: str, result: dict[str, Any]
) -> Record:
    row = replace(
        template,
        metric=metric,
        dialect=dialect or "default",
        defect=defect,
        features=result["network"],
        reference=_CENTRES[dialect or "default"],
        unit="1",
    )
    if "undefined" in result:
        return replace(row, status="undefined", note=result["undefined"])
    lpips = IcLpips(**{name: _as_tuple(value) for name, value in result.items()})
    resampled = bootstrap_clusters(lpips, _CLUSTER_REPLICATES, stream("bootstrap", metric, defect))
    low, high = percentile_interval(resampled)
    dropped = lpips.empty + lpips.single
    return replace(
        row,
        value=lpips.value,
        stderr=float(np.std(resampled)),
        ci_low=low,
        ci_high=high,
        ci_method=f"percentile, {_CLUSTER_REPLICATES} resamples of clusters",
        n=sum(lpips.assigned),
        note=f"{dropped} of {lpips.clusters} clusters have no pair and are left out" * bool(dropped),
    )


def _honesty_records(template: Record, nearest: Path, agreement: Path) -> Iterator[Record]:
    """Shares of near-copies of training and of test defects, and how well masks lie on what was changed."""
    held = json.loads((nearest / "nearest.json").read_text())
    told = json.loads((agreement / "agreement.json").read_text())
    template = replace(template, unit="fraction")
    seen = replace(template, weights_sha256=",".join(sorted(held["weights_sha256"].values())))
    fitted = replace(template, features="none", weights_sha256="", reference=told["reference"])
    metrics: tuple[tuple[str, Literal["higher", "lower"], Record, Any, str], ...] = (
        ("copies", "lower", replace(seen, reference="base third"), held["types"], "copies"),
        ("leaks", "lower", replace(seen, reference="test"), held["types"], "leaks"),
        ("mask_agreement", "higher", fitted, told["types"], "score"),
        ("mask_boundary", "higher", fitted, told["types"], "boundary"),
        ("mask_spill", "lower", replace(fitted, unit="1"), told["types"], "spill"),
    )
    for metric, direction, row, types, field in metrics:
        rows = []
        for defect, found in types.items():
            record = replace(row, metric=metric, direction=direction, defect=defect)
            value, n = found.get(field), found.get("images", 0)
            if value is None:
                note = found.get("undefined", "nothing changed inside the masks")
                rows.append(replace(record, status="undefined", note=note))
                continue
            error = found["errors"][field] if "errors" in found else float(np.sqrt(value * (1 - value) / n))
            rows.append(_with_error(replace(record, value=value, n=n), error, "the spread over images"))
        yield from rows
        yield from _mean_of(rows)


def _mean_of(rows: list[Record]) -> Iterator[Record]:
    """The category's value: the mean over its types; undefined where one of them is."""
    if not rows:
        return
    template = replace(rows[0], defect="all", ci_low=None, ci_high=None, ci_method="", stderr=None, note="")
    undefined = [row for row in rows if row.value is None]
    if undefined:
        note = f"undefined for {undefined[0].defect}: {undefined[0].note}"
        yield replace(template, value=None, status="undefined", n=0, note=note)
        return
    errors = [row.stderr or 0.0 for row in rows]
    mean = replace(
        template,
        status="ok",
        value=fmean(row.value for row in rows if row.value is not None),
        n=sum(row.n for row in rows),
    )
    yield _with_error(mean, float(np.sqrt(np.sum(np.square(errors))) / len(rows)), "errors of the types")


def _with_error(record: Record, error: float, what: str) -> Record:
    """The record with a normal interval from a standard error; a share stays between 0 and 1."""
    assert record.value is not None
    low, high = record.value - 1.96 * error, record.value + 1.96 * error
    if record.unit == "fraction":
        low, high = max(low, 0.0), min(high, 1.0)
    return replace(record, stderr=error, ci_low=low, ci_high=high, ci_method=f"normal, from {what}")


def _read(folder: Path) -> _Features:
    index = json.loads((folder / "index.json").read_text())
    return _Features(
        np.load(folder / "features.npy", allow_pickle=False),
        np.load(folder / "probabilities.npy", allow_pickle=False),
        tuple(index["defects"]),
        index["weights_sha256"],
    )


def _features_name(source: Output) -> str:
    names = {"embedded": "embedded: EfficientNet-Lite0", "canonical": "canonical: Inception-2015"}
    return names[source.params["features"]]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
