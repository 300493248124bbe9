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
from bench.data.view import View
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
from bench.stages.replicates import Resamples, save_replicates, test_resamples, with_interval
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

    name, version = "score.detection", 5
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
        has_masks = test.masks is not None or not anomalous.any()
        masks = np.stack([test.mask(row) for row in range(len(test))])
        content, replicates = self.test.params["content"], run.params["replicates"]
        by_label = test_resamples(content, anomalous, replicates)
        by_mask = test_resamples(content, mask_strata(masks), replicates)
        template = Record(**run.params["labels"], metric_version=1, reference="test", n=len(test))
        notes = (_mask_note(masks, anomalous), unseen_note(test, self.prediction.params))
        of_pixels = replace(template, level="pixel", note="; ".join(filter(None, notes)))
        if not has_masks:
            no_masks = _without_value(of_pixels, "undefined", "the test images have no masks")
            pixel = LevelScores(no_masks)
        else:
            pixel = _pixel_scores(of_pixels, prediction, masks, by_rule, by_mask)
        image = _image_scores(replace(template, level="image"), prediction, anomalous, by_label)
        levels = {"image": image, "pixel": pixel}
        stored = {
            f"{level}.{metric}": values
            for level, scores in levels.items()
            for metric, values in scores.replicates.items()
        }
        save_replicates(run.out, stored)
        curves = {level: scores.curves for level, scores in levels.items() if scores.curves}
        (run.out / "curves.json").write_text(json.dumps(curves, sort_keys=True))
        write_records(
            run.out / "records.jsonl", [row for scores in levels.values() for row in scores.records]
        )
        write_records(
            run.out / "dialects.jsonl", [row for scores in levels.values() for row in scores.dialects]
        )


def mask_strata(masks: np.ndarray) -> np.ndarray:
    """What to resample test images within so that every resample has pixels of both classes, int [N].

    0 for an image without a defect pixel, 1 with, 2 for one that is all defect. masks: bool [N, H, W].
    """
    flat = masks.reshape(len(masks), -1)
    return flat.any(axis=1).astype(int) + flat.all(axis=1)


def unseen_note(test: Pool, params: Mapping[str, Any]) -> str:
    """Which share of the defect pixels lies outside what a detector saw, in words; "" where it saw all.

    `test` are whole images, and `params` those of the task that predicted.
    """
    if "short_side" not in params:
        return ""
    view, side = View.of(params), test.images.shape[1]
    total = outside = 0
    for row, item in enumerate(test.items):
        width, height = item["size"]
        mask = test.mask(row)
        total += int(mask.sum())
        outside += int(mask[~view.visible((height, width), side)].sum())
    return f"{outside / total:.1%} of the defect pixels lie outside what the detector sees" if total else ""


def _image_scores(
    template: Record, prediction: StoredPrediction, anomalous: np.ndarray, resamples: Resamples
) -> LevelScores:
    try:
        values, undefined = image_values(prediction.scores, anomalous, prediction.maps)
    except UndefinedMetricError as error:
        return LevelScores(_without_value(template, "undefined", str(error)))
    replicates = bootstrap_image_metrics(prediction.scores, anomalous, resamples.counts)
    if ("recall_at_tnr95", "default") in values:
        replicates["recall_at_tnr95"] = bootstrap_recall_at_tnr(
            prediction.scores, anomalous, resamples.counts, 0.95
        )
    records = []
    for metric in _metrics(template):
        row = replace(template, metric=metric, note=prediction.rule)
        if reason := undefined.get((metric, "default")):
            records.append(replace(row, status="undefined", note=reason))
        else:
            records.append(with_interval(row, values[metric, "default"], replicates[metric], resamples))
    curves = curve_points(Tally.of(prediction.scores, anomalous))
    return LevelScores(records, _dialect_records(template, values, undefined), replicates, curves)


def _pixel_scores(
    template: Record,
    prediction: StoredPrediction,
    masks: np.ndarray,
    by_rule: Mapping[str, np.ndarray],
    resamples: Resamples,
) -> LevelScores:
    if prediction.maps is None:
        return LevelScores(_without_value(template, "skipped", "the detector gives no anomaly map"))
    if (reason := _why_no_pixels(masks)) is not None:
        return LevelScores(_without_value(template, "undefined", reason))
    values, undefined, counted = pixel_values(prediction.maps, masks, by_rule)
    bootstrap = bootstrap_pixel_metrics(prediction.maps, masks, resamples.counts, counted=counted)
    records = []
    for metric in _metrics(template):
        record = with_interval(template, values[metric, "default"], bootstrap.replicates[metric], resamples)
        binned = f"binning the scores moves the value by {bootstrap.bin_error[metric]:.0e}"
        records.append(replace(record, metric=metric, ci_method=f"{record.ci_method}; {binned}"))
    replicates = {metric: bootstrap.replicates[metric] for metric in _metrics(template)}
    dialects = _dialect_records(replace(template, note=""), values, undefined)
    return LevelScores(records, dialects, replicates, curve_points(counted.tally))


def _why_no_pixels(masks: np.ndarray) -> str | None:
    """Why pixels have no metric: none of them is of one class."""
    side = f"{masks.shape[2]}x{masks.shape[1]}"
    if not masks.any():
        return f"no test mask has a defect pixel at {side}, so pixel metrics are undefined"
    if masks.all():
        return f"the test masks mark every pixel of every image at {side}, so pixel metrics are undefined"
    return None


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
        if dialect != "default"
    ]
    return tuple(sorted(records, key=lambda record: (record.metric, record.dialect)))


def _mask_note(masks: np.ndarray, anomalous: np.ndarray) -> str:
    """How many defective images have no defect pixel at this resolution, in words."""
    empty = int((anomalous & ~masks.any(axis=(1, 2))).sum())
    side = f"{masks.shape[2]}x{masks.shape[1]}"
    return f"{empty} of {anomalous.sum()} defective images have an empty mask at {side}" if empty else ""
