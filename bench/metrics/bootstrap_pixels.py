"""Bootstrap of pixel metrics: per-image histograms, re-added for every resample.

The scores of all pixels are put into bins once; a resample's histogram is its counts times the per-image
histograms, so 1,000 resamples are one matrix product. Bins are pooled quantiles: half of them of the defect
pixels (which decide AP, F1 and PRO), half of the others. Within a bin scores count as tied, so replicates
carry a binning error; it is measured on the point estimate, which is exact, and returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics.aupro import require_limit
from bench.metrics.auroc_ap_f1 import exact_pixel_metrics
from bench.metrics.bootstrap import bootstrap_mean, curve_metrics, require_counts
from bench.metrics.inputs import MetricInputError
from bench.metrics.one_thread import on_one_blas_thread
from bench.metrics.ranking import MapTally, tally_of
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.regions import region_weights
from bench.metrics.threshold_grids import integral_to

QUANTILE_SAMPLE = 1 << 21
RESAMPLES_A_BLOCK = 256


@dataclass(frozen=True)
class PixelBootstrap:
    """point: `pixel_metrics`, exact. replicates: auroc, ap, f1_max, iou, iou_per_image_oracle, aupro, float64
    [R] each. bin_error: |binned - exact| of the point estimate, by metric."""

    point: dict[str, float]
    replicates: dict[str, np.ndarray]
    bin_error: dict[str, float]


@dataclass(frozen=True)
class _Histograms:
    """Highest bin first: defect pixels, other pixels and region overlap, float64 [N, bins]; regions [N];
    best IoU of each image with a defect (0 elsewhere), and which have one."""

    positive: np.ndarray
    negative: np.ndarray
    overlap: np.ndarray
    regions: np.ndarray
    best_iou: np.ndarray
    anomalous: np.ndarray


@on_one_blas_thread
def bootstrap_pixel_metrics(
    maps: Any,
    masks: Any,
    counts: np.ndarray,
    *,
    bins: int = 4096,
    fpr_limit: float = 0.3,
    counted: MapTally | None = None,
) -> PixelBootstrap:
    """Pixel metrics of every resample of the images.

    maps: real [N, H, W] (array, memory map, or list of chunks); masks: bool [N, H, W]; counts: int [R, N]
    from `resample_counts`, stratified by whether the image has a defect. bins: 4,096 or more. counted: the
    counts of these maps, where they were taken already.
    Raises MetricInputError.

    Precision: `bin_error`; at 4,096 bins about 1e-4 for AP and F1 and 1e-5 for areas on the maps tested.
    """
    require_limit(fpr_limit)
    if bins < 16:
        raise MetricInputError(f"bins must be at least 16, not {bins}")
    source = MapChunks(maps, masks)
    if not source.rereadable:
        raise MetricInputError(
            "the bootstrap reads the maps more than once; give arrays, memory maps or lists"
        )
    counted = tally_of(source) if counted is None else counted
    histograms = _histograms(source, _edges(source, bins), counted.best_iou)
    draws = require_counts(counts, len(histograms.regions))
    parts = [
        _resampled(histograms, draws[start : start + RESAMPLES_A_BLOCK], fpr_limit)
        for start in range(0, len(draws), RESAMPLES_A_BLOCK)
    ]
    point = exact_pixel_metrics(counted, fpr_limit)
    once = _resampled(histograms, np.ones((1, draws.shape[1]), np.int32), fpr_limit)
    return PixelBootstrap(
        point={name: point[name] for name in once},
        replicates={name: np.concatenate([part[name] for part in parts]) for name in once},
        bin_error={name: abs(float(once[name][0]) - point[name]) for name in once},
    )


def _edges(source: MapChunks, bins: int) -> np.ndarray:
    positive, negative = [], []
    total = sum(maps.size for maps, _ in source)
    step = max(1, total // QUANTILE_SAMPLE)
    for maps, masks in source:
        positive.append(maps[masks])
        negative.append(maps[~masks][::step])
    half = np.linspace(0, 1, bins // 2 + 1)[1:-1]
    quantiles = [
        np.quantile(np.concatenate(part), half) for part in (positive, negative) if sum(map(len, part))
    ]
    return np.unique(np.concatenate(quantiles))


def _histograms(source: MapChunks, edges: np.ndarray, best_iou: np.ndarray) -> _Histograms:
    bins = edges.size + 1
    best = iter(best_iou)
    rows: dict[str, list[Any]] = {name: [] for name in _Histograms.__dataclass_fields__}
    for maps, masks in source:
        for amap, mask in zip(maps, masks, strict=True):
            bin_of = bins - 1 - np.searchsorted(edges, amap.ravel(), side="right")
            inside = mask.ravel()
            weights, regions = region_weights(mask)
            rows["positive"].append(np.bincount(bin_of[inside], minlength=bins))
            rows["negative"].append(np.bincount(bin_of[~inside], minlength=bins))
            rows["overlap"].append(np.bincount(bin_of[inside], weights=weights, minlength=bins))
            rows["regions"].append(regions)
            rows["best_iou"].append(next(best) if regions else 0.0)
            rows["anomalous"].append(regions > 0)
    return _Histograms(**{name: np.array(value, np.float64) for name, value in rows.items()})


def _resampled(histograms: _Histograms, draws: np.ndarray, fpr_limit: float) -> dict[str, np.ndarray]:
    times = draws.astype(np.float64)  # whole numbers below 2^53: the products are exact counts
    tp = np.cumsum(times @ histograms.positive, axis=1)
    fp = np.cumsum(times @ histograms.negative, axis=1)
    metrics = curve_metrics(tp, fp)
    overlap = np.cumsum(times @ histograms.overlap, axis=1) / (times @ histograms.regions)[:, None]
    start = np.zeros((len(times), 1))
    rate, share = np.hstack([start, fp / fp[:, -1:]]), np.hstack([start, overlap])
    areas = [integral_to(x, y, fpr_limit) / fpr_limit for x, y in zip(rate, share, strict=True)]
    anomalous = histograms.anomalous > 0
    return {
        **metrics,
        "iou": metrics["f1_max"] / (2.0 - metrics["f1_max"]),
        "iou_per_image_oracle": bootstrap_mean(histograms.best_iou[anomalous], draws[:, anomalous]),
        "aupro": np.array(areas),
    }
