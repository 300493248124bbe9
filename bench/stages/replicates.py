"""Bootstrap replicates of scores: the resamples that detectors share, and what is stored of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.metrics.bootstrap import resample_counts
from bench.metrics.uncertainty import SHARE, StandardError, interval, spread_of_draws
from bench.record.record import Record
from bench.streams import stream


@dataclass(frozen=True)
class Resamples:
    """Resamples of a test set: how often each image is in each, within which strata."""

    counts: np.ndarray
    """int [R, N]."""
    strata: np.ndarray
    """[N] labels; every resample has as many images of each as the test set."""


def test_resamples(content: str, strata: np.ndarray, replicates: int) -> Resamples:
    """Resamples of a test set: a function of the set alone, so that detectors share them."""
    rng = stream("bootstrap", content, replicates)
    return Resamples(resample_counts(len(strata), replicates, rng, strata), strata)


def with_interval(record: Record, value: float, replicates: np.ndarray, resamples: Resamples) -> Record:
    """The record with its value, and the standard error and interval that its replicates give."""
    spread = spread_of_draws(replicates, resamples.counts, resamples.strata)
    resampled = f"{len(replicates)} resamples of test images"
    return with_spread(replace(record, value=float(value)), spread, resampled, replicates)


def with_spread(
    record: Record, spread: StandardError, source: str, draws: np.ndarray | None = None
) -> Record:
    """The record with a standard error that `source` gave, and the interval of it where there is one.

    An error is not recorded where one image cannot know it, or nothing varied.
    """
    assert record.value is not None
    ends = interval(record.value, spread, draws, SHARE if record.unit == "fraction" else None)
    low, high = ends or (None, None)
    return replace(
        record,
        stderr=spread.error if spread.is_known else None,
        df=spread.df,
        ci_low=low,
        ci_high=high,
        ci_method=_method(spread, source, draws is not None, ends is not None),
    )


def _method(spread: StandardError, source: str, has_draws: bool, has_interval: bool) -> str:
    """How the interval was made, or why there is none."""
    if not has_interval:
        why = "nothing varied" if spread.is_known else "one alone does not vary"
        return f"none: {why} ({source})"
    rule = "Student's t and percentiles" if has_draws else "Student's t"
    if not spread.is_known or spread.error == 0:
        rule = "exact bound of none"
    return f"{rule}, {source}, {spread.df:.4g} degrees of freedom"


def save_replicates(out: Path, replicates: Mapping[str, np.ndarray]) -> None:
    """One array per metric, "<level>.<metric>.npy" float64 [R], in the folder replicates/."""
    (out / "replicates").mkdir()
    for name, values in replicates.items():
        np.save(out / "replicates" / f"{name}.npy", values)
