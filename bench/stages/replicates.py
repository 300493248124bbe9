"""Bootstrap replicates of scores: the resamples that detectors share, and what is stored of them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.metrics.bootstrap import percentile_interval, resample_counts
from bench.record.record import Record
from bench.streams import stream


def test_resamples(content: str, strata: np.ndarray, replicates: int) -> np.ndarray:
    """Resamples [R, N] of a test set: a function of the set alone, so that detectors share them."""
    return resample_counts(len(strata), replicates, stream("bootstrap", content, replicates), strata)


def with_interval(record: Record, value: float, replicates: np.ndarray) -> Record:
    """The record with its value, and the standard error and interval that its replicates give."""
    low, high = percentile_interval(replicates)
    return replace(
        record,
        value=float(value),
        stderr=float(np.std(replicates)),
        ci_low=low,
        ci_high=high,
        ci_method=f"percentile, {len(replicates)} resamples of test images",
    )


def save_replicates(out: Path, replicates: Mapping[str, np.ndarray]) -> None:
    """One array per metric, "<level>.<metric>.npy" float64 [R], in the folder replicates/."""
    (out / "replicates").mkdir()
    for name, values in replicates.items():
        np.save(out / "replicates" / f"{name}.npy", values)
