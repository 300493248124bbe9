"""AUPRO: area under the per-region-overlap curve up to a false positive rate.

    PRO(t) = mean over ground-truth regions of  #(region's pixels with score >= t) / #(region's pixels)
    FPR(t) = #(negatives >= t) / N
    AUPRO  = 1 / L * integral of PRO over FPR from 0 to L       (Bergmann et al. 2021, MVTec AD, section 5)

Regions are 8-connected and pooled over all images. `default` integrates the exact curve, by trapezoids
between distinct scores and by interpolation at L, as MVTec's official code does on every score.
Between two distinct positive scores PRO stands still, so the curve is known from the tally.

The other dialects sample the curve as published repositories do; they are library only, in no record:

    mvtec-100      thresholds are the scores at 100 evenly spaced ranks of the sorted negatives; the rate at a
                   rank is the share of negatives behind it; the point (1, 1) closes the curve; integrated to
                   the limit by interpolation and divided by it (MVTec 3D-AD's code as in AnomalyDiffusion)
    ader-200       200 evenly spaced thresholds from the lowest to the highest score, `score >`; points with a
                   rate below the limit only, their rates stretched to 0..1 (min-max) instead of
                   divided by the limit (ADer's default step count)
    glass-dilated  as ader-200, but a region's overlap takes the prediction dilated by 5 x 5

Stretching the rates moves the lowest rate to 0 and the highest below the limit to 1, so `ader-200` and
`glass-dilated` are not areas to a fixed limit and change under a monotone change of the scores.

Precision: `default` 1e-9 of a brute-force curve over every distinct score (MVTec's own code keeps FPR in
float32 and differs by up to 2e-8 for that reason); the sampled ones 1e-12 of the loops in
tests/metrics/test_aupro.py, which are written from these rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.inputs import MetricInputError, UndefinedMetricError, finite_range, require_choice
from bench.metrics.one_thread import on_one_blas_thread
from bench.metrics.ranking import tally_of
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.regions import region_weights
from bench.metrics.ranking.tally import Tally, require_both_classes
from bench.metrics.threshold_grids import integral_to

SAMPLED = ("mvtec-100", "ader-200", "glass-dilated")
AUPRO_DIALECTS = ("default", *SAMPLED)


def aupro(
    maps: Any,
    masks: Any = None,
    *,
    fpr_limit: float = 0.3,
    dialect: str = "default",
    chunk: int | None = None,
) -> float:
    """Area under the PRO curve up to `fpr_limit`, divided by it, 0..1.

    maps: real [N, H, W]; masks: bool [N, H, W]; or streams of chunks as `pixel_metrics` takes them (the
    sampled dialects hold all scores in memory).
    Raises MetricInputError, UndefinedMetricError (no defect pixel, or no other).

    Precision: see the module.
    """
    require_choice(dialect, AUPRO_DIALECTS, "AUPRO dialect")
    require_limit(fpr_limit)
    chunks = MapChunks(maps, masks, chunk)
    if dialect in SAMPLED:
        return sampled_area(chunks, fpr_limit, dialect)
    return area_to_limit(tally_of(chunks, per_image=False).tally, fpr_limit)


def require_limit(fpr_limit: float) -> None:
    """Raises MetricInputError where the limit is not a rate."""
    if not 0.0 < fpr_limit <= 1.0:
        raise MetricInputError(f"fpr_limit must be above 0 and at most 1, not {fpr_limit}")


@on_one_blas_thread
def area_to_limit(tally: Tally, fpr_limit: float) -> float:
    """AUPRO of a tally that carries region overlap.

    Each step in PRO contributes (limit - FPR) times its height. Where negatives share the score, the step is
    a ramp, and its FPR is the one at its middle.
    """
    limit = fpr_limit * tally.negatives
    area, before = 0.0, 0.0
    for piece in tally.pieces():
        assert piece.overlap is not None
        inside = int(np.searchsorted(piece.fp, limit, side="right"))
        rise = np.diff(piece.overlap, prepend=before)
        middle = (piece.fp[:inside] + piece.fp_above[:inside]) / 2.0
        area += float(np.dot(rise[:inside], limit - middle))
        if inside < piece.fp.size:
            rest = limit - piece.fp_above[inside]
            if rest > 0.0:  # the limit cuts a slanted rise
                width = piece.fp[inside] - piece.fp_above[inside]
                area += float(rise[inside] * rest**2 / (2.0 * width))
            break
        before = piece.overlap[-1]
    return min(area / limit, 1.0)  # the steps sum to 1 up to rounding


def sampled_area(chunks: MapChunks, fpr_limit: float, dialect: str) -> float:
    """AUPRO of one of `SAMPLED`. Raises UndefinedMetricError."""
    overlap_scores, weights, negatives = [], [], []
    lowest, highest = [], []
    regions = 0
    for maps, masks in chunks:
        lowest.append(maps.min())
        highest.append(maps.max())
        negatives.append(maps[~masks])
        for amap, mask in zip(maps, masks, strict=True):
            weight, count = region_weights(mask)
            if count:
                overlap_map = _dilated(amap, 5) if dialect == "glass-dilated" else amap
                overlap_scores.append(overlap_map[mask])
                weights.append(weight)
                regions += count
    negative = np.sort(np.concatenate(negatives))
    require_both_classes(regions, negative.size, "masks")
    scores, weight = np.concatenate(overlap_scores), np.concatenate(weights)
    order = np.argsort(scores, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weight[order])]) / regions

    def overlap(thresholds: np.ndarray) -> np.ndarray:
        return 1.0 - below[np.searchsorted(scores[order], thresholds, side="right")]

    if dialect == "mvtec-100":
        ranks = np.linspace(0, negative.size - 1, num=100, dtype=int)
        rate = np.append((1.0 - (ranks + 1) / negative.size)[::-1], 1.0)
        return integral_to(rate, np.append(overlap(negative[ranks])[::-1], 1.0), fpr_limit) / fpr_limit
    low, high = min(lowest), max(highest)
    if not low < high:
        raise UndefinedMetricError(f"all maps hold one value, so '{dialect}' has no thresholds to sample")
    thresholds = np.arange(low, high, finite_range(low, high, "the maps") / 200)[::-1]
    rate = 1.0 - np.searchsorted(negative, thresholds, side="right") / negative.size
    below_limit = rate < fpr_limit
    rate, share = rate[below_limit], overlap(thresholds[below_limit])
    span = rate[-1] - rate[0] if rate.size else 0.0
    if span == 0.0:
        raise UndefinedMetricError(
            f"'{dialect}' finds fewer than two false positive rates below {fpr_limit}, so it has no curve"
        )
    stretched = (rate - rate[0]) / (span + (1e-10 if dialect == "glass-dilated" else 0.0))
    return float(np.sum(np.diff(stretched) * (share[1:] + share[:-1])) / 2.0)


def _dilated(amap: np.ndarray, side: int) -> np.ndarray:
    """Thresholding this is dilating the thresholded map; outside the map nothing is added."""
    from scipy import ndimage

    return ndimage.maximum_filter(amap, size=side, mode="constant", cval=-np.inf)
