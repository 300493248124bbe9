"""Score a classifier of defect types on one category: accuracy over its anomalous test images."""

from dataclasses import replace

import numpy as np

from bench.data.pool import open_pool
from bench.metrics import classification_metrics
from bench.metrics.bootstrap import bootstrap_mean, percentile_interval
from bench.record.record import Record, write_records
from bench.stages import StageRun
from bench.stages.score_detection import save_replicates, test_resamples


def score(run: StageRun) -> None:
    """Accuracy among the category's own types: a model of all categories is told which one it sees."""
    test = open_pool(run.inputs.one("test"))
    category = run.params["category"]
    classes = [tuple(pair) for pair in run.params["classes"]]
    own = [number for number, (of, _) in enumerate(classes) if of == category]
    names = [classes[number][1] for number in own]
    rows = [row for row, defect in enumerate(test.defects) if defect != "good"]
    logits = np.load(run.inputs.one("prediction") / "logits.npy")[np.ix_(rows, own)]
    truth = np.array([names.index(test.defects[row]) for row in rows])
    metrics = classification_metrics(logits, truth)

    content = run.inputs.definitions["test"][0]["params"]["content"]
    counts = test_resamples(content, np.zeros(len(rows), int), run.params["replicates"])
    resampled = bootstrap_mean(logits.argmax(axis=1) == truth, counts)
    low, high = percentile_interval(resampled)
    record = Record(**run.params["labels"], level="classification", metric="accuracy", metric_version=1)
    record = replace(
        record,
        reference="anomalous test images",
        value=metrics["accuracy"],
        stderr=float(np.std(resampled)),
        ci_low=low,
        ci_high=high,
        ci_method=f"percentile, {len(resampled)} resamples of test images",
        n=len(rows),
        note=f"{len(names)} types, chance {1 / len(names):.3f}",
    )
    save_replicates(run.out, {"classification.accuracy": resampled})
    np.savetxt(
        run.out / "confusion.csv", metrics["confusion"], fmt="%d", delimiter=",", header=",".join(names)
    )
    write_records(run.out / "records.jsonl", [record])
