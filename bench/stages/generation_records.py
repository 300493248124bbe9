"""From features and distances of generated images to records: of each type, then the category's mean."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from bench.metrics import Estimate, UndefinedMetricError, fid, inception_score, kid
from bench.metrics.bootstrap import bootstrap_clusters, percentile_interval
from bench.metrics.ic_lpips import IcLpips
from bench.record import catalogue
from bench.record.record import Record
from bench.stages.generator import ANY
from bench.streams import stream

FEWEST_FOR_FID = 10
"""Real images below which a Gaussian fitted to them says nothing."""
_SPLITS = 10
_CLUSTER_REPLICATES = 1000
_CENTRES = {
    "default": "base third of the type",
    "anomalyhybrid": "held-out images of the type, at most 100 (the paper says type or product, D31)",
}
"""What the clusters of a dialect lie about."""


@dataclass(frozen=True)
class ImageFeatures:
    """What the stage `features` wrote of a pool."""

    features: np.ndarray
    """float32 [N, D]."""
    probabilities: np.ndarray
    """float64 [N, C]."""
    defects: tuple[str, ...]
    weights: Mapping[str, str]
    """Weight file to its sha256."""


def is_records(template: Record, generated: ImageFeatures) -> Iterator[Record]:
    """IS of each type with its split spread, and their mean. None where the generator knows no types."""
    template = replace(_of_metric(template, "is"), reference="none", ci_method="")
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


def set_records(
    template: Record, generated: ImageFeatures, real: ImageFeatures, reference: str
) -> Iterator[Record]:
    """Distances between generated images and real ones of their kind: all of SET_METRICS of the level."""
    for _, metric in catalogue.planned(template.level):
        if metric not in SET_METRICS:
            continue
        row = replace(_of_metric(template, metric), reference=reference, n=len(generated.defects))
        try:
            estimate = SET_METRICS[metric](generated.features, real.features)
        except UndefinedMetricError as error:
            yield replace(row, status="undefined", note=str(error))
            continue
        row = replace(row, value=estimate.value)
        if np.isnan(estimate.error):
            yield replace(row, note=f"against {len(real.defects)} real images")
        else:
            yield _with_error(row, estimate.error, estimate.error_kind)


def _fid(generated: np.ndarray, real: np.ndarray) -> Estimate:
    """FID without an error, which its estimator does not give; undefined where real images are few."""
    if len(real) < FEWEST_FOR_FID:
        raise UndefinedMetricError(
            f"{len(real)} real images are too few to fit a Gaussian; FID needs {FEWEST_FOR_FID}"
        )
    return Estimate(fid(generated, real), float("nan"), "", len(real))


SET_METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], Estimate]] = {"kid": kid, "fid": _fid}
"""Metrics of the features of two sets of images [N, D] and [M, D]: generated ones, real ones."""


def lpips_records(template: Record, report: Mapping[str, Any]) -> Iterator[Record]:
    """LPIPS over all pairs of each type, and their mean. None where the generator knows no types."""
    weights = ",".join(sorted(report["weights_sha256"].values()))
    template = replace(
        _of_metric(template, "lpips"), features=report["network"], weights_sha256=weights, reference="none"
    )
    rows = []
    for defect, result in report["types"].items():
        row = replace(template, defect=defect, n=result["images"])
        if "undefined" in result:
            rows.append(replace(row, status="undefined", note=result["undefined"]))
            continue
        row, error = replace(row, value=result["value"]), result["error"]
        rows.append(row if error is None else _with_error(row, error, result["error_kind"]))
    yield from rows
    yield from _mean_of(rows)


def ic_lpips_records(template: Record, results: Mapping[str, Mapping[str, Any]]) -> Iterator[Record]:
    """IC-LPIPS and IC-LPIPS(a) of each type with a bootstrap over its clusters, and their means."""
    for key in sorted({key for of_type in results.values() for key in of_type}):
        metric, _, dialect = key.partition("@")
        rows = [
            _ic_lpips_record(template, metric, dialect or "default", defect, of_type[key])
            for defect, of_type in results.items()
        ]
        yield from rows
        yield from _mean_of(rows)


def _ic_lpips_record(
    template: Record, metric: str, dialect: str, defect: str, result: Mapping[str, Any]
) -> Record:
    row = replace(
        _of_metric(template, metric),
        dialect=dialect,
        defect=defect,
        features=result["network"],
        reference=_CENTRES[dialect],
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


def honesty_records(
    template: Record, nearest: Mapping[str, Any], agreement: Mapping[str, Any]
) -> Iterator[Record]:
    """Shares of near-copies of training and of test defects, and how well masks lie on what was changed."""
    near = replace(template, weights_sha256=",".join(sorted(nearest["weights_sha256"].values())))
    fit = replace(template, features="none", weights_sha256="", reference=agreement["reference"])
    metrics: tuple[tuple[str, Record, Mapping[str, Any], str], ...] = (
        ("copies", replace(near, reference="base third"), nearest["types"], "copies"),
        ("leaks", replace(near, reference="test"), nearest["types"], "leaks"),
        ("mask_agreement", fit, agreement["types"], "score"),
        ("mask_boundary", fit, agreement["types"], "boundary"),
        ("mask_spill", fit, agreement["types"], "spill"),
    )
    for metric, row, types, field in metrics:
        rows = []
        for defect, result in types.items():
            record = replace(_of_metric(row, metric), defect=defect)
            value, n = result.get(field), result.get("images", 0)
            if value is None:
                note = result.get("undefined", "nothing changed inside the masks")
                rows.append(replace(record, status="undefined", note=note))
                continue
            error = result["errors"][field] if "errors" in result else float(np.sqrt(value * (1 - value) / n))
            rows.append(_with_error(replace(record, value=value, n=n), error, "the spread over images"))
        yield from rows
        yield from _mean_of(rows)


def _of_metric(template: Record, metric: str) -> Record:
    entry = catalogue.metrics()[metric]
    return replace(template, metric=metric, unit=entry.unit, direction=entry.direction)


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


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
