"""AUPRO as published repositories sample it; kept to reproduce their numbers.

    mvtec-100      thresholds are the scores at 100 evenly spaced ranks of the sorted negatives; the rate at a
                   rank is the share of negatives behind it; the point (1, 1) closes the curve; integrated to
                   the limit by interpolation and divided by it (MVTec 3D-AD's code as in AnomalyDiffusion)
    ader-200       200 evenly spaced thresholds from the lowest to the highest score, `score >`; points with a
                   rate below the limit only, their rates stretched to 0..1 (min-max) instead of
                   divided by the limit (ADer's default step count)
    glass-dilated  as ader-200, but a region's overlap takes the prediction dilated by 5 x 5

Stretching the rates moves the lowest rate to 0 and the highest below the limit to 1, so `ader-200` and
`glass-dilated` are not areas to a fixed limit and change under a monotone change of the scores.

Precision: 1e-12 of the loops in tests/metrics/test_aupro.py, which are written from these rules.
"""

from __future__ import annotations

import numpy as np

from bench.metrics.inputs import UndefinedMetricError, finite_range
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.regions import region_weights
from bench.metrics.ranking.tally import require_both_classes
from bench.metrics.threshold_grids import integral_to

SAMPLED = ("mvtec-100", "ader-200", "glass-dilated")


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
                seen = _dilated(amap, 5) if dialect == "glass-dilated" else amap
                overlap_scores.append(seen[mask])
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
    kept = rate < fpr_limit
    rate, share = rate[kept], overlap(thresholds[kept])
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
