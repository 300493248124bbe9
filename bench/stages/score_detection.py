"""Score a detector on one category: image and pixel metrics, with a bootstrap over test images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.metrics import UndefinedMetricError, image_metrics
from bench.metrics.bootstrap import bootstrap_image_metrics, percentile_interval, resample_counts
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics
from bench.record.record import Record, write_records
from bench.stages import StageRun
from bench.stages.predicted import predicted
from bench.streams import stream

IMAGE = ("auroc", "ap", "f1_max")
PIXEL = ("auroc", "ap", "f1_max", "iou")


def score(run: StageRun) -> None:
    """Write records.jsonl, and the bootstrap replicates for paired comparisons."""
    test = open_pool(run.inputs.one("test"))
    anomalous = np.array([defect != "good" for defect in test.defects])
    content = run.inputs.definitions["test"][0]["params"]["content"]
    counts = test_resamples(content, anomalous, run.params["replicates"])
    template = Record(**run.params["labels"], metric_version=1, reference="test", n=len(test))

    maps, scores, rule = predicted(run.inputs.one("prediction"))
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
        records += [replace(_undefined(template, "pixel", name, reason), status="skipped") for name in PIXEL]
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
