"""Score a detector on one category: image and pixel metrics, with a bootstrap over test images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.metrics import UndefinedMetricError, image_metrics
from bench.metrics.bootstrap import bootstrap_image_metrics, percentile_interval, resample_counts
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics
from bench.planning.config import PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.record.record import Record, write_records
from bench.stages.predicted import predicted
from bench.stages.stage import Metrics, Output, Stage, StageRun, T
from bench.streams import stream
from bench.tasks import Task

SCORE_IMPORTS = ("numba", "scipy.ndimage", "bench.metrics.bootstrap_pixels")
"""What every stage that scores needs."""
IMAGE = ("auroc", "ap", "f1_max")
PIXEL = ("auroc", "ap", "f1_max", "iou")


@dataclass(frozen=True)
class DetectorScore(Stage[T]):
    """A score of what a detector predicts for the test images of a category."""

    prediction: T
    test: T


@dataclass(frozen=True)
class ScoreDetection(DetectorScore[T]):
    """The records of a detector on one category, and the bootstrap replicates for paired comparisons."""

    name, version = "score.detection", 2
    imports = SCORE_IMPORTS

    @staticmethod
    def task(config: PlanConfig, labels: CellLabels, prediction: Task, test: Task) -> Task:
        params = {"labels": labels.to_json(), "category": labels.category, "replicates": config.replicates}
        return ScoreDetection(prediction=prediction, test=test).to_task(params)

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned("image", "pixel")

    def run(self: "ScoreDetection[Output]", run: StageRun) -> None:
        test = open_pool(self.test.folder)
        anomalous = np.array([defect != "good" for defect in test.defects])
        content = self.test.params["content"]
        counts = test_resamples(content, anomalous, run.params["replicates"])
        template = Record(**run.params["labels"], metric_version=1, reference="test", n=len(test))

        maps, scores, rule = predicted(self.prediction.folder)
        replicates: dict[str, np.ndarray] = {}
        records = []
        try:
            values = image_metrics(scores, anomalous)
            resampled = bootstrap_image_metrics(scores, anomalous, counts)
            for name in IMAGE:
                replicates[f"image.{name}"] = resampled[name]
                records.append(_record(template, "image", name, values[name], resampled[name], rule))
        except UndefinedMetricError as error:
            records += [_undefined(template, "image", name, str(error)) for name in IMAGE]
        if maps is None:
            reason = "the detector gives no anomaly map"
            skipped = [_undefined(template, "pixel", name, reason) for name in PIXEL]
            records += [replace(record, status="skipped") for record in skipped]
        else:
            masks = np.stack([test.mask(row) for row in range(len(test))])
            try:
                bootstrap = bootstrap_pixel_metrics(maps, masks, counts)
                note = _mask_note(test, masks)
                for name in PIXEL:
                    resampled_name = bootstrap.replicates[name]
                    replicates[f"pixel.{name}"] = resampled_name
                    record = _record(template, "pixel", name, bootstrap.point[name], resampled_name, note)
                    moved = f"binning the scores moves the value by {bootstrap.bin_error[name]:.0e}"
                    records.append(replace(record, ci_method=f"{record.ci_method}; {moved}"))
            except UndefinedMetricError as error:
                records += [_undefined(template, "pixel", name, str(error)) for name in PIXEL]
        save_replicates(run.out, replicates)
        write_records(run.out / "records.jsonl", records)


def test_resamples(content: str, strata: np.ndarray, replicates: int) -> np.ndarray:
    """Resamples [R, N] of a test set: a function of the set alone, so that detectors share them."""
    return resample_counts(len(strata), replicates, stream("bootstrap", content, replicates), strata)


def save_replicates(out: Path, replicates: Mapping[str, np.ndarray]) -> None:
    """One array a metric, "<level>.<metric>.npy" float64 [R], in the folder replicates/."""
    (out / "replicates").mkdir()
    for name, values in replicates.items():
        np.save(out / "replicates" / f"{name}.npy", values)


def _record(
    template: Record, level: str, metric: str, value: float, resampled: np.ndarray, note: str
) -> Record:
    low, high = percentile_interval(resampled)
    return replace(
        template,
        level=level,
        metric=metric,
        value=float(value),
        stderr=float(np.std(resampled)),
        ci_low=low,
        ci_high=high,
        ci_method=f"percentile, {len(resampled)} resamples of test images",
        note=note,
    )


def _undefined(template: Record, level: str, metric: str, reason: str) -> Record:
    return replace(template, level=level, metric=metric, status="undefined", note=reason)


def _mask_note(test: Pool, masks: np.ndarray) -> str:
    """Says how many defective images have no defect pixel at this resolution."""
    empty = sum(not mask.any() for mask, defect in zip(masks, test.defects, strict=True) if defect != "good")
    return f"{empty} defective images have an empty mask" if empty else ""
