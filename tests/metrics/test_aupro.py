"""AUPRO against a brute-force curve, MVTec's definition, and loops written from each dialect's rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import AUPRO_DIALECTS, MetricInputError, UndefinedMetricError, aupro, pixel_metrics


def area_up_to(rates, overlaps, limit):
    """Trapezoids of a curve given by points in rising order, cut at the limit."""
    area = 0.0
    for (x0, y0), (x1, y1) in zip(
        zip(rates, overlaps, strict=True), list(zip(rates, overlaps, strict=True))[1:], strict=False
    ):
        if x0 >= limit or x1 == x0:
            continue
        if x1 > limit:
            y1 = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            x1 = limit
        area += (x1 - x0) * (y0 + y1) / 2
    return area


def curve(maps, masks, thresholds, regions_of, above, seen=None):
    """(rate, mean overlap) of every threshold, by counting; `above(scores, t)` is the comparison."""
    seen = maps if seen is None else seen
    regions = [(i, r) for i, mask in enumerate(masks) for r in regions_of(mask)]
    points = []
    for t in thresholds:
        rate = above(maps[~masks], t).mean()
        share = np.mean([above(seen[i][r[:, 0], r[:, 1]], t).mean() for i, r in regions])
        points.append((rate, share))
    return points


def brute_force(maps, masks, regions_of, limit):
    thresholds = np.unique(maps)[::-1]
    points = [(0.0, 0.0), *curve(maps, masks, thresholds, regions_of, np.greater_equal)]
    return area_up_to(*zip(*points, strict=True), limit) / limit


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("decimals", [1, 2, None])
def test_the_default_is_the_exact_area(case, flood_regions, limit, decimals):
    for seed in range(4):
        maps, masks = case(seed, images=4, side=14, decimals=decimals)
        reference = brute_force(maps, masks, flood_regions, limit)
        assert aupro(maps, masks, fpr_limit=limit) == pytest.approx(reference, abs=1e-9)
        assert pixel_metrics(maps, masks, fpr_limit=limit)["aupro"] == pytest.approx(reference, abs=1e-9)


def test_the_default_is_mvtecs_curve_over_every_score(case):
    # every pixel sorted by score, cumulative changes of both rates, the last of each tie kept
    from scipy.ndimage import label

    for seed in range(4):
        maps, masks = case(seed, decimals=2)
        fp_change, pro_change, regions = np.zeros(maps.shape), np.zeros(maps.shape), 0
        for mask, fp, pro in zip(masks, fp_change, pro_change, strict=True):
            labels, count = label(mask, np.ones((3, 3)))
            fp[~mask] = 1 / (~masks).sum()
            for k in range(1, count + 1):
                pro[labels == k] = 1 / (labels == k).sum()
            regions += count
        order = np.argsort(maps.ravel())[::-1]
        ranked = maps.ravel()[order]
        keep = np.append(np.diff(ranked) != 0, True)
        rate = np.cumsum(fp_change.ravel()[order])[keep]
        overlap = np.cumsum(pro_change.ravel()[order] / regions)[keep]
        points = [(0.0, 0.0), *zip(rate.clip(0, 1), overlap.clip(0, 1), strict=True), (1.0, 1.0)]
        assert aupro(maps, masks) == pytest.approx(
            area_up_to(*zip(*points, strict=True), 0.3) / 0.3, abs=1e-9
        )


def test_regions_touch_at_corners_and_weigh_alike():
    maps = np.zeros((1, 4, 6), np.float32)
    masks = np.zeros((1, 4, 6), bool)
    masks[0, [0, 1], [0, 1]] = True  # one region: its two pixels touch at a corner
    masks[0, :, 5] = True  # another of four pixels
    maps[0, [0, 1], [0, 1]] = 1.0
    assert aupro(maps, masks) == pytest.approx(0.5 + 0.5 * 0.15)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 3]), st.floats(0.01, 1.0))
def test_it_stays_in_bounds_and_rises_with_better_maps(seed, decimals, limit):
    rng = np.random.default_rng(seed)
    masks = rng.random((2, 7, 7)) < 0.2
    maps = rng.random((2, 7, 7)).round(decimals).astype(np.float32)
    if masks.any() and not masks.all():
        value = aupro(maps, masks, fpr_limit=limit)
        assert 0 <= value <= 1
        assert aupro(maps + masks, masks, fpr_limit=limit) >= value - 1e-12
        assert aupro(np.exp(maps.astype(np.float64)), masks, fpr_limit=limit) == pytest.approx(
            value, abs=1e-12
        )


# --- dialects --------------------------------------------------------------------------------------------


def test_mvtec_100_takes_evenly_spaced_ranks_of_the_negatives(case, flood_regions):
    maps, masks = case(2, decimals=None)
    negative = np.sort(maps[~masks])
    points = []
    for rank in np.linspace(0, negative.size - 1, num=100, dtype=int):
        share = curve(maps, masks, [negative[rank]], flood_regions, np.greater)[0][1]
        points.append((1 - (rank + 1) / negative.size, share))
    points = [*points[::-1], (1.0, 1.0)]
    reference = area_up_to(*zip(*points, strict=True), 0.3) / 0.3
    assert aupro(maps, masks, dialect="mvtec-100") == pytest.approx(reference, abs=1e-12)


def stretched_area(points, limit, epsilon):
    kept = [(rate, share) for rate, share in points if rate < limit]
    rates = np.array([rate for rate, _ in kept])
    rates = (rates - rates.min()) / (rates.max() - rates.min() + epsilon)
    return area_up_to(rates, [share for _, share in kept], 2.0)


def test_ader_200_stretches_the_rates_of_evenly_spaced_thresholds(case, flood_regions):
    maps, masks = case(2, decimals=None)
    thresholds = np.arange(maps.min(), maps.max(), (maps.max() - maps.min()) / 200)[::-1]
    points = curve(maps, masks, thresholds, flood_regions, np.greater)
    assert aupro(maps, masks, dialect="ader-200") == pytest.approx(
        stretched_area(points, 0.3, 0.0), abs=1e-12
    )


def test_glass_dilates_the_prediction_for_the_overlap_only(case, flood_regions):
    maps, masks = case(2, decimals=None)
    dilated = np.empty_like(maps)
    for amap, out in zip(maps, dilated, strict=True):
        for y, x in np.ndindex(amap.shape):
            out[y, x] = amap[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].max()
    thresholds = np.arange(maps.min(), maps.max(), (maps.max() - maps.min()) / 200)[::-1]
    points = curve(maps, masks, thresholds, flood_regions, np.greater, seen=dilated)
    assert aupro(maps, masks, dialect="glass-dilated") == pytest.approx(
        stretched_area(points, 0.3, 1e-10), abs=1e-12
    )


def test_the_dialects_differ_and_only_the_default_ignores_a_rising_change_of_scores(case):
    maps, masks = case(2, decimals=None)
    values = {d: aupro(maps, masks, dialect=d) for d in AUPRO_DIALECTS}
    assert len({round(v, 5) for v in values.values()}) == len(AUPRO_DIALECTS), values
    bent = np.exp(6 * maps.astype(np.float64))
    assert aupro(bent, masks) == pytest.approx(values["default"], abs=1e-12)
    assert abs(aupro(bent, masks, dialect="ader-200") - values["ader-200"]) > 1e-3


# --- errors ----------------------------------------------------------------------------------------------


def test_bad_limits_missing_classes_and_flat_maps_are_refused(case):
    maps, masks = case(0)
    with pytest.raises(MetricInputError, match="fpr_limit"):
        aupro(maps, masks, fpr_limit=0)
    with pytest.raises(UndefinedMetricError, match="no positive"):
        aupro(maps, np.zeros_like(masks))
    with pytest.raises(UndefinedMetricError, match="no negative"):
        aupro(maps, np.ones_like(masks), dialect="mvtec-100")
    with pytest.raises(UndefinedMetricError, match="one value"):
        aupro(np.zeros_like(maps), masks, dialect="ader-200")
    with pytest.raises(MetricInputError, match="range of the maps overflows float64"):
        aupro(np.where(masks, 1.7e308, -1.7e308), masks, dialect="ader-200")
