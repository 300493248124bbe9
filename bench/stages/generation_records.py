"""From features and distances of generated images to records: of each type, then the category's mean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from bench.metrics import Estimate, UndefinedMetricError, fid, inception_score, kid
from bench.metrics.bootstrap import bootstrap_mean, resample_counts
from bench.metrics.ic_lpips import IC_LPIPS_DIALECTS, IcLpips
from bench.metrics.inception_score import SPLITS, splits_for
from bench.metrics.kid import SUBSET_SIZE as KID_SUBSET
from bench.metrics.lpips import GROUPS
from bench.metrics.uncertainty import UNKNOWN, StandardError, spread_of_average, spread_of_draws
from bench.record import catalogue
from bench.record.record import Record
from bench.stages.generator import ANY
from bench.stages.replicates import with_spread
from bench.streams import stream

FEWEST_FOR_FID = 10
"""Images of either kind below which a Gaussian fitted to them says nothing."""
_CLUSTER_REPLICATES = 1000
_CENTRES = {
    **dict.fromkeys(("default", "ojha", "seas", "dfmgan"), "base third of the type"),
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
        row = replace(template, defect=defect, n=len(chosen))
        splits = splits_for(len(chosen))
        try:
            estimate = inception_score(generated.probabilities[chosen], splits=splits)
        except UndefinedMetricError:
            note = "one image scores 1 whatever it shows; IS needs two"
            rows.append(replace(row, status="undefined", note=note))
            continue
        row = replace(row, value=estimate.value, note=_splits_note(splits, len(chosen)))
        # of the population's standard deviation of k splits: over sqrt(k - 1) it is the mean's error
        error = StandardError(estimate.error / np.sqrt(splits - 1), splits - 1) if splits > 1 else UNKNOWN
        rows.append(with_spread(row, error, "the spread over splits"))
    yield from rows
    yield from _mean_of(rows)


def _splits_note(splits: int, images: int) -> str:
    """Why there are fewer splits than papers take, in words."""
    if splits == SPLITS:
        return ""
    if splits > 1:
        return f"{splits} splits, since there are {images} images"
    return f"one split of {images} images, which cannot score above {images} and has no spread"


def set_records(
    template: Record,
    generated: ImageFeatures,
    real: ImageFeatures,
    reference: str,
    kid_dialects: Sequence[str] = ("default",),
) -> Iterator[Record]:
    """Distances between generated images and real ones of their kind: all of SET_METRICS of the level, and
    KID over subsets where that dialect is asked for."""
    if "subset" in kid_dialects:
        row = replace(_of_metric(template, "kid"), reference=reference, n=len(generated.defects))
        yield _kid_over_subsets(row, generated.features, real.features)
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
            fewest = min(len(generated.defects), len(real.defects))
            yield with_spread(row, StandardError(estimate.error, fewest - 1), estimate.error_kind)


def _kid_over_subsets(row: Record, generated: np.ndarray, real: np.ndarray) -> Record:
    """KID as torch-fidelity and DFMGAN estimate it, without an error: its subsets overlap."""
    row = replace(row, dialect="subset")
    try:
        estimate = kid(generated, real, estimator="subset")
    except UndefinedMetricError as error:
        return replace(row, status="undefined", note=str(error))
    size = min(len(generated), len(real), KID_SUBSET)
    note = f"{estimate.n} subsets of {size} images, drawn by seed 2020; against {len(real)} real images"
    return replace(row, value=estimate.value, note=note)


def _fid(generated: np.ndarray, real: np.ndarray) -> Estimate:
    """FID without an error, which its estimator does not give; undefined where images are few."""
    for kind, images in (("real", real), ("generated", generated)):
        if len(images) < FEWEST_FOR_FID:
            raise UndefinedMetricError(
                f"{len(images)} {kind} images are too few to fit a Gaussian; FID needs {FEWEST_FOR_FID}"
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
        groups = min(GROUPS, result["images"])
        spread = UNKNOWN if error is None else StandardError(error, groups - 1)
        rows.append(with_spread(row, spread, result["error_kind"] or "the spread over images"))
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
    if "weights" in result:
        row = replace(row, weights_sha256=",".join(sorted(result["weights"].values())))
    if "undefined" in result:
        return replace(row, status="undefined", note=result["undefined"])
    lpips = IcLpips(**{name: _as_tuple(value) for name, value in result.items() if name != "weights"})
    counted = np.array(lpips.counted)
    counts = resample_counts(len(counted), _CLUSTER_REPLICATES, stream("bootstrap", metric, defect))
    resampled = bootstrap_mean(counted, counts)
    dropped = lpips.empty + lpips.single
    fate = "count as 0" if IC_LPIPS_DIALECTS[dialect].zeros_kept else "are left out"
    row = replace(
        row,
        value=lpips.value,
        n=sum(lpips.assigned),
        note=f"{dropped} of {lpips.clusters} clusters have no pair and {fate}" * bool(dropped),
    )
    how = f"{_CLUSTER_REPLICATES} resamples of {len(counted)} clusters"
    return with_spread(row, spread_of_draws(resampled, counts), how, resampled)


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
                note = result.get("undefined", _WHY_WITHOUT.get(metric, ""))
                rows.append(replace(record, status="undefined", note=note))
                continue
            if "errors" in result:
                error = result["errors"][field]
            else:
                error = float(np.sqrt(value * (1 - value) / (n - 1))) if n > 1 else None
            spread = UNKNOWN if error is None else StandardError(error, n - 1)
            record = replace(record, value=value, n=n, note=_chance_note(result) if field in _COPIES else "")
            rows.append(with_spread(record, spread, "the spread over images"))
        yield from rows
        yield from _mean_of(rows)


_COPIES = ("copies", "leaks")
_WHY_WITHOUT = {
    "mask_spill": "nothing changed inside the masks",
    "mask_boundary": "no mask has pixels beside its outline",
    "leaks": "there is no test image of the type",
}
"""Why a metric has no value where all others of its images have one."""


def _chance_note(result: Mapping[str, Any]) -> str:
    """Of few real images the first percentile of their distances is the smallest, which chance goes below."""
    real = result["real_images"]
    if real >= 100:
        return ""
    return f"of {real} real images the least distance counts; by chance about one in {real + 1} is nearer"


def _of_metric(template: Record, metric: str) -> Record:
    entry = catalogue.metrics()[metric]
    return replace(template, metric=metric, unit=entry.unit, direction=entry.direction)


def _mean_of(rows: list[Record]) -> Iterator[Record]:
    """The category's value: the mean over its types; undefined where one of them is."""
    if not rows:
        return
    template = replace(
        rows[0], defect="all", ci_low=None, ci_high=None, ci_method="", stderr=None, df=None, note=""
    )
    undefined = [row for row in rows if row.value is None]
    if undefined:
        note = f"undefined for {undefined[0].defect}: {undefined[0].note}"
        yield replace(template, value=None, status="undefined", n=0, note=note)
        return
    mean = replace(
        template,
        status="ok",
        value=fmean(row.value for row in rows if row.value is not None),
        n=sum(row.n for row in rows),
        note=rows[0].note if len({row.note for row in rows}) == 1 else "",
    )
    spreads = [UNKNOWN if row.stderr is None else StandardError(row.stderr, row.df or 0.0) for row in rows]
    yield with_spread(mean, spread_of_average(spreads), "errors of the types")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
