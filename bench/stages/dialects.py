"""The truth of test images under the mask rules of repositories, and predictions scored in every dialect.

This answers how much of a difference between two papers their scoring alone can make: nothing is trained and
nothing predicted again. The curves of the default rules are kept beside the values.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.data.images import decode_mask_values, file_bytes
from bench.data.pool import open_pool
from bench.metrics import MASK_DIALECTS, UndefinedMetricError, prepare_masks
from bench.metrics.all_dialects import MASK_RULES, Named, image_dialects, pixel_dialects
from bench.metrics.ranking.tally import Tally
from bench.planning.config import PlanConfig
from bench.record.labels import CellLabels
from bench.record.record import Record, write_records
from bench.stages.data import listed_files
from bench.stages.predicted import predicted
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task

CURVE_POINTS = 100


@dataclass(frozen=True)
class DataTruth(Stage[T]):
    """The masks of a part under each rule: `<rule>.npy` bool [N, size, size]."""

    name, version = "data.truth", 1

    @staticmethod
    def task(test: Task) -> Task:
        part = {name: test.params[name] for name in ("category", "part", "content", "resolution")}
        return DataTruth[Task]().to_task(part)

    def run(self: "DataTruth[Output]", run: StageRun) -> None:
        size = run.params["resolution"]
        rows = listed_files(run)
        out = {
            rule: np.lib.format.open_memmap(
                run.out / f"{rule}.npy", mode="w+", dtype=np.bool_, shape=(len(rows), size, size)
            )
            for rule in MASK_RULES
        }
        for number, (item, defect) in enumerate(rows):
            if defect == "good" or item.mask_path is None:
                continue
            raw = decode_mask_values(file_bytes(item.mask_path), item.mask_path)
            for rule, masks in out.items():
                filter_, threshold = MASK_DIALECTS[rule]
                masks[number] = prepare_masks(raw, size, filter=filter_, rule=threshold)
        for masks in out.values():
            masks.flush()


@dataclass(frozen=True)
class ScoreDialects(Stage[T]):
    """The same predictions under the dialects of repositories: records per metric and dialect, and curves."""

    name, version = "score.dialects", 2
    imports = ("bench.metrics", "bench.data.images")
    prediction: T
    test: T
    truth: T

    @staticmethod
    def task(config: PlanConfig, labels: CellLabels, prediction: Task, test: Task) -> Task:
        stage = ScoreDialects(prediction=prediction, test=test, truth=DataTruth.task(test))
        return stage.to_task({"labels": labels.to_json(), "category": labels.category})

    def run(self: "ScoreDialects[Output]", run: StageRun) -> None:
        test = open_pool(self.test.folder)
        truths = self.truth.folder
        template = Record(**run.params["labels"], metric_version=1, reference="test", n=len(test))
        anomalous = np.array([defect != "good" for defect in test.defects])
        maps, scores, _ = predicted(self.prediction.folder)
        records: list[Record] = []
        curves: dict[str, Any] = {}
        try:
            curves["image"] = curve_points(Tally.of(scores, anomalous))
            records += _records(template, "image", *image_dialects(scores, anomalous, maps))
        except UndefinedMetricError:
            pass  # one class only: score.detection says so
        if maps is not None:
            masks = np.stack([test.mask(row) for row in range(len(test))])
            by_rule = {rule: np.load(truths / f"{rule}.npy") for rule in MASK_RULES}
            try:
                values, undefined, tally = pixel_dialects(maps, masks, by_rule)
                curves["pixel"] = curve_points(tally)
                records += _records(template, "pixel", values, undefined)
            except UndefinedMetricError:
                pass
        (run.out / "curves.json").write_text(json.dumps(curves, sort_keys=True))
        write_records(run.out / "records.jsonl", records)


def curve_points(tally: Tally) -> dict[str, list[list[float]]]:
    """ROC [false positive rate, true positive rate] and PR [recall, precision], thinned to CURVE_POINTS.

    Points are taken at even steps of both axes of the ROC, so that its steep beginning is kept.
    """
    before = np.concatenate([[0], tally.tp[:-1]])
    # a step has two ends: the negatives above a score come before the positives at it
    fpr = np.stack([tally.fp_above, tally.fp], axis=1).ravel() / tally.negatives
    tpr = np.stack([before, tally.tp], axis=1).ravel() / tally.positives
    along = np.cumsum(np.hypot(np.diff(fpr, prepend=0.0), np.diff(tpr, prepend=0.0)))
    picked = _places(along, np.linspace(0.0, along[-1], CURVE_POINTS))
    recall, precision = tally.tp / tally.positives, tally.tp / (tally.tp + tally.fp)
    evenly = _places(recall, np.linspace(0.0, 1.0, CURVE_POINTS))

    def rounded(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
        return [[round(float(a), 5), round(float(b), 5)] for a, b in zip(x, y, strict=True)]

    return {
        "roc": [[0.0, 0.0], *rounded(fpr[picked], tpr[picked]), [1.0, 1.0]],
        "pr": rounded(recall[evenly], precision[evenly]),
    }


def _places(ascending: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The index of the first value at or above each mark, each index once."""
    return np.unique(np.searchsorted(ascending, marks).clip(0, ascending.size - 1))


def _records(
    template: Record, level: str, values: Mapping[Named, float], undefined: Mapping[Named, str]
) -> list[Record]:
    found = [
        replace(template, level=level, metric=metric, dialect=dialect, value=value)
        for (metric, dialect), value in values.items()
    ]
    found += [
        replace(template, level=level, metric=metric, dialect=dialect, status="undefined", note=reason)
        for (metric, dialect), reason in undefined.items()
    ]
    return sorted(found, key=lambda record: (record.metric, record.dialect))
