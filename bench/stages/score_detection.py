"""Score a detector on one category: image and pixel metrics by the exact rules and in every dialect.

The dialects answer how much of a difference between two papers their scoring alone can make: nothing is
trained and nothing predicted again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.metrics import UndefinedMetricError
from bench.metrics.bootstrap import bootstrap_image_metrics, bootstrap_recall_at_tnr
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics
from bench.metrics.curve_points import curve_points
from bench.metrics.detection import Named, image_values, pixel_values
from bench.metrics.ranking.tally import Tally
from bench.planning.config import PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.record.record import Record, Status, write_records
from bench.stages.replicates import save_replicates, test_resamples, with_interval
from bench.stages.stage import Metrics, Output, Stage, StageRun, T
from bench.stages.stored_prediction import StoredPrediction, read_prediction
from bench.stages.truth import MASK_RULES, DataTruth
from bench.tasks import Task

IMPORTS = ("scipy.ndimage", "bench.metrics.bootstrap_pixels")
"""What every stage that scores needs."""


@dataclass(frozen=True)
class LevelScores:
    """The scores of one level: of images, or of their pixels."""

    records: list[Record]
    """By the exact rules, one per metric."""
    dialects: tuple[Record, ...] = ()
    """By all other rules."""
    replicates: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Metric to the bootstrap replicates of its exact value."""
    curves: Mapping[str, Any] = field(default_factory=dict)
    """ROC and precision-recall curves by the exact rules."""


@dataclass(frozen=True)
class DetectorScore(Stage[T]):
    """A score of what a detector predicts for the test images of a category."""

    prediction: T
    test: T


@dataclass(frozen=True)
class ScoreDetection(DetectorScore[T]):
    """records.jsonl by the exact rules, with bootstrap replicates for paired comparisons; dialects.jsonl, one
    record per metric and other dialect; and curves.json."""

    name, version = "score.detection", 3
    imports = IMPORTS
    truth: T

    @staticmethod
    def task(config: PlanConfig, labels: CellLabels, prediction: Task, test: Task) -> Task:
        params = {"labels": labels.to_json(), "category": labels.category, "replicates": config.replicates}
        return ScoreDetection(prediction, test, DataTruth.task(test)).to_task(params)

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned("image", "pixel")

    def run(self: "ScoreDetection[Output]", run: StageRun) -> None:
        test, prediction = open_pool(self.test.folder), read_prediction(self.prediction.folder)
        by_rule = {rule: np.load(self.truth.folder / f"{rule}.npy") for rule in MASK_RULES}
        anomalous = np.array([defect != "good" for defect in test.defects])
        counts = test_resamples(self.test.params["content"], anomalous, run.params["replicates"])
        template = Record(**run.params["labels"], metric_version=1, reference="test", n=len(test))
        levels = {
            "image": _image_scores(replace(template, level="image"), prediction, anomalous, counts),
            "pixel": _pixel_scores(replace(template, level="pixel"), prediction, test, by_rule, counts),
        }
        replicates = {
            f"{level}.{metric}": values
            for level, scores in levels.items()
            for metric, values in scores.replicates.items()
        }
        save_replicates(run.out, replicates)
        curves = {level: scores.curves for level, scores in levels.items() if scores.curves}
        (run.out / "curves.json").write_text(json.dumps(curves, sort_keys=True))
        write_records(
            run.out / "records.jsonl", [row for scores in levels.values() for row in scores.records]
        )
        write_records(
            run.out / "dialects.jsonl", [row for scores in levels.values() for row in scores.dialects]
        )


def _image_scores(
    template: Record, prediction: StoredPrediction, anomalous: np.ndarray, counts: np.ndarray
) -> LevelScores:
    try:
        values, undefined = image_values(prediction.scores, anomalous, prediction.maps)
    except UndefinedMetricError as error:
        return LevelScores(_without_value(template, "undefined", str(error)))
    replicates = bootstrap_image_metrics(prediction.scores, anomalous, counts)
    replicates["recall_at_tnr95"] = bootstrap_recall_at_tnr(prediction.scores, anomalous, counts, 0.95)
    records = [
        replace(
            with_interval(template, values[metric, "default"], replicates[metric]),
            metric=metric,
            note=prediction.rule,
        )
        for metric in _metrics(template)
    ]
    curves = curve_points(Tally.of(prediction.scores, anomalous))
    return LevelScores(records, _dialect_records(template, values, undefined), replicates, curves)


def _pixel_scores(
    template: Record,
    prediction: StoredPrediction,
    test: Pool,
    by_rule: Mapping[str, np.ndarray],
    counts: np.ndarray,
) -> LevelScores:
    if prediction.maps is None:
        return LevelScores(_without_value(template, "skipped", "the detector gives no anomaly map"))
    if test.masks is None and any(defect != "good" for defect in test.defects):
        return LevelScores(_without_value(template, "undefined", "the test images have no masks"))
    masks = np.stack([test.mask(row) for row in range(len(test))])
    try:
        values, undefined, counted = pixel_values(prediction.maps, masks, by_rule)
    except UndefinedMetricError as error:
        return LevelScores(_without_value(template, "undefined", str(error)))
    bootstrap = bootstrap_pixel_metrics(prediction.maps, masks, counts, counted=counted)
    records = []
    for metric in _metrics(template):
        record = with_interval(template, values[metric, "default"], bootstrap.replicates[metric])
        binned = f"binning the scores moves the value by {bootstrap.bin_error[metric]:.0e}"
        records.append(
            replace(
                record,
                metric=metric,
                ci_method=f"{record.ci_method}; {binned}",
                note=_mask_note(test, masks),
            )
        )
    replicates = {metric: bootstrap.replicates[metric] for metric in _metrics(template)}
    dialects = _dialect_records(template, values, undefined)
    return LevelScores(records, dialects, replicates, curve_points(counted.tally))


def _metrics(template: Record) -> list[str]:
    return [metric for _, metric in catalogue.planned(template.level)]


def _without_value(template: Record, status: Status, reason: str) -> list[Record]:
    return [replace(template, metric=metric, status=status, note=reason) for metric in _metrics(template)]


def _dialect_records(
    template: Record, values: Mapping[Named, float], undefined: Mapping[Named, str]
) -> tuple[Record, ...]:
    """The records of all rules but the exact ones, by metric and dialect."""
    records = [
        replace(template, metric=metric, dialect=dialect, value=value)
        for (metric, dialect), value in values.items()
        if dialect != "default"
    ]
    records += [
        replace(template, metric=metric, dialect=dialect, status="undefined", note=reason)
        for (metric, dialect), reason in undefined.items()
    ]
    return tuple(sorted(records, key=lambda record: (record.metric, record.dialect)))


def _mask_note(test: Pool, masks: np.ndarray) -> str:
    """How many defective images have no defect pixel at this resolution, in words."""
    empty = sum(not mask.any() for mask, defect in zip(masks, test.defects, strict=True) if defect != "good")
    return f"{empty} defective images have an empty mask" if empty else ""
