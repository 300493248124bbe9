"""Score a classifier of defect types on one category: accuracy over its anomalous test images."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bench.data.pool import open_pool
from bench.metrics import classification_metrics
from bench.metrics.bootstrap import bootstrap_mean
from bench.planning.config import PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.record.record import Record, write_records
from bench.stages.replicates import save_replicates, test_resamples, with_interval
from bench.stages.score_detection import DetectorScore
from bench.stages.stage import Metrics, Output, StageRun, T
from bench.tasks import Task


@dataclass(frozen=True)
class ScoreClassification(DetectorScore[T]):
    """Accuracy among the category's own types, also where a model of all categories knows more.

    Writes records.jsonl, replicates, and confusion.csv.
    """

    name, version = "score.classification", 2
    imports = ("bench.metrics.bootstrap",)

    @staticmethod
    def task(
        config: PlanConfig,
        labels: CellLabels,
        prediction: Task,
        test: Task,
        classes: Iterable[tuple[str, str]],
    ) -> Task:
        params = {
            "labels": labels.to_json(),
            "category": labels.category,
            "replicates": config.replicates,
            "classes": [list(pair) for pair in classes],
        }
        return ScoreClassification(prediction, test).to_task(params)

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        return catalogue.planned("classification")

    def run(self: "ScoreClassification[Output]", run: StageRun) -> None:
        test = open_pool(self.test.folder)
        category = run.params["category"]
        classes = [tuple(pair) for pair in run.params["classes"]]
        columns = [number for number, (of, _) in enumerate(classes) if of == category]
        names = [classes[number][1] for number in columns]
        rows = [row for row, defect in enumerate(test.defects) if defect != "good"]
        logits = np.load(self.prediction.folder / "logits.npy")[np.ix_(rows, columns)]
        truth = np.array([names.index(test.defects[row]) for row in rows])
        metrics = classification_metrics(logits, truth)

        content = self.test.params["content"]
        resamples = test_resamples(content, np.zeros(len(rows), int), run.params["replicates"])
        replicates = bootstrap_mean(logits.argmax(axis=1) == truth, resamples.counts)
        record = Record(**run.params["labels"], level="classification", metric="accuracy", metric_version=1)
        record = replace(
            with_interval(record, metrics["accuracy"], replicates, resamples),
            reference="anomalous test images",
            n=len(rows),
            note=f"{len(names)} types, chance {1 / len(names):.3f}",
        )
        save_replicates(run.out, {"classification.accuracy": replicates})
        np.savetxt(
            run.out / "confusion.csv", metrics["confusion"], fmt="%d", delimiter=",", header=",".join(names)
        )
        write_records(run.out / "records.jsonl", [record])
