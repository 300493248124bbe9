"""Bootstrap: replicates equal the metrics of the drawn images; intervals, paired differences, Holm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.metrics import MetricInputError, image_metrics, pixel_metrics
from bench.metrics.bootstrap import (
    bca_interval,
    bootstrap_clusters,
    bootstrap_image_metrics,
    bootstrap_mean,
    holm,
    leave_one_out_counts,
    paired_difference,
    percentile_interval,
    resample_counts,
)
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics
from bench.metrics.ic_lpips import IcLpips


def scored(n=40, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3 > 0
    return (rng.normal(size=n) + labels).round(1), labels


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_resample_has_n_images_and_each_stratum_its_size():
    _, labels = scored()
    counts = resample_counts(40, 300, rng(), strata=labels)
    assert (counts.shape, counts.dtype) == ((300, 40), np.int32)
    assert (counts[:, labels].sum(axis=1) == labels.sum()).all()
    assert (counts[:, ~labels].sum(axis=1) == (~labels).sum()).all()
    assert (resample_counts(40, 300, rng(), strata=labels) == counts).all()
    assert (resample_counts(40, 300, rng(1), strata=labels) != counts).any()


def test_image_replicates_are_the_metrics_of_the_drawn_images():
    scores, labels = scored()
    counts = resample_counts(40, 25, rng(), strata=labels)
    replicates = bootstrap_image_metrics(scores, labels, counts)
    for row, count in enumerate(counts):
        drawn = np.repeat(np.arange(40), count)
        exact = image_metrics(scores[drawn], labels[drawn])
        for name, values in replicates.items():
            assert values[row] == pytest.approx(exact[name], abs=1e-12)


def test_pixel_replicates_are_the_metrics_of_the_drawn_images_up_to_the_bins(case):
    maps, masks = case(0, images=10, decimals=None)
    anomalous = masks.any(axis=(1, 2))
    counts = resample_counts(10, 12, rng(), strata=anomalous)
    result = bootstrap_pixel_metrics(maps, masks, counts)
    assert set(result.replicates) == {"auroc", "ap", "f1_max", "iou", "iou_per_image_oracle", "aupro"}
    for row, count in enumerate(counts):
        drawn = np.repeat(np.arange(10), count)
        exact = pixel_metrics(maps[drawn], masks[drawn])
        for name, values in result.replicates.items():
            assert values[row] == pytest.approx(exact[name], abs=2e-3), name


def test_the_bin_error_is_measured_on_the_exact_point_and_falls_with_more_bins(case):
    maps, masks = case(0, images=8, side=64, decimals=None)
    counts = np.ones((1, 8), int)
    errors = {}
    for bins in (64, 4096):
        result = bootstrap_pixel_metrics(maps, masks, counts, bins=bins)
        assert result.point["ap"] == pixel_metrics(maps, masks)["ap"]
        for name, error in result.bin_error.items():
            assert error == pytest.approx(abs(result.replicates[name][0] - result.point[name]), abs=1e-12)
        errors[bins] = result.bin_error
    assert max(errors[4096].values()) < 1e-3
    assert all(errors[4096][name] <= errors[64][name] for name in ("auroc", "ap", "f1_max", "aupro"))


def test_bins_lose_nothing_where_scores_take_few_values(case):
    maps, masks = case(1, decimals=1)
    result = bootstrap_pixel_metrics(maps, masks, np.ones((1, len(maps)), int))
    assert max(result.bin_error.values()) < 1e-12


def test_the_mean_of_flags_is_the_accuracy_of_the_drawn_images():
    correct = np.array([True, False, True, True])
    assert bootstrap_mean(correct, np.array([[1, 1, 1, 1], [4, 0, 0, 0], [0, 3, 1, 0]])).tolist() == [
        0.75,
        1.0,
        0.25,
    ]


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # the mean of an exponential sample: skewed, so BCa and percentile differ
    draws, covered, wider_above = rng(5), {"percentile": 0, "bca": 0}, 0
    for _ in range(200):
        sample = draws.exponential(size=40)
        replicates = bootstrap_mean(sample, resample_counts(40, 400, draws))
        left_out = bootstrap_mean(sample, leave_one_out_counts(40))
        intervals = {
            "percentile": percentile_interval(replicates, 0.9),
            "bca": bca_interval(sample.mean(), replicates, left_out, 0.9),
        }
        for name, (low, high) in intervals.items():
            covered[name] += low <= 1.0 <= high
        wider_above += intervals["bca"][1] > intervals["percentile"][1]
    assert 160 <= covered["percentile"] <= 192, covered
    assert 165 <= covered["bca"] <= 195, covered
    assert wider_above > 150


def test_bca_is_scipys():
    sample = rng(3).exponential(size=30)
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method="BCa", rng=rng(0)
    ).confidence_interval
    replicates = bootstrap_mean(sample, resample_counts(30, 20_000, rng(1)))
    ours = bca_interval(sample.mean(), replicates, bootstrap_mean(sample, leave_one_out_counts(30)))
    assert ours == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.02))


def test_a_metric_without_spread_has_a_point_for_an_interval():
    assert bca_interval(1.0, np.ones(50), np.ones(10)) == (1.0, 1.0)


def test_pairing_finds_a_difference_that_lies_within_both_intervals():
    scores, labels = scored(120)
    worse = scores - 0.25 * labels
    counts = resample_counts(120, 1000, rng(), strata=labels)
    first, second = (bootstrap_image_metrics(s, labels, counts)["auroc"] for s in (scores, worse))
    points = [image_metrics(s, labels)["auroc"] for s in (scores, worse)]
    difference = paired_difference(points[0], first, points[1], second)
    assert difference.value == pytest.approx(points[0] - points[1])
    assert difference.low > 0
    assert difference.p < 0.01
    assert percentile_interval(first)[0] < percentile_interval(second)[1]
    other = bootstrap_image_metrics(worse, labels, resample_counts(120, 1000, rng(9), strata=labels))["auroc"]
    unpaired = paired_difference(points[0], first, points[1], other)
    assert unpaired.high - unpaired.low > 2 * (difference.high - difference.low)


def test_no_difference_has_a_p_value_of_one():
    values = rng().normal(size=99)
    assert paired_difference(0.5, values, 0.5, values).p == 1.0


def test_holm_multiplies_by_the_hypotheses_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.5]).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_clusters_are_resampled_as_the_dialect_counts_them():
    shared = {
        "value": 0.2,
        "clusters": 3,
        "empty": 1,
        "single": 0,
        "members": (3, 3, 0),
        "assigned": (3, 3, 0),
        "cluster_values": (0.1, 0.3, None),
        "network": "lpips-vgg",
    }
    assert set(bootstrap_clusters(IcLpips(dialect="default", **shared), 200, rng()).round(6)) == {
        0.1,
        0.2,
        0.3,
    }
    assert 0.0 in bootstrap_clusters(IcLpips(dialect="seas", **shared), 200, rng())


def test_bad_counts_and_one_class_resamples_are_refused(case):
    scores, labels = scored()
    with pytest.raises(MetricInputError, match=r"\[R, 40\]"):
        bootstrap_image_metrics(scores, labels, np.ones((5, 39), int))
    with pytest.raises(MetricInputError, match="one class only"):
        bootstrap_image_metrics(scores, labels, np.where(labels, 1, 0)[None])
    with pytest.raises(MetricInputError, match="level"):
        percentile_interval(scores, level=95)
    with pytest.raises(MetricInputError, match="level"):
        bca_interval(0.5, scores, scores, level=1)
    maps, masks = case(0)
    with pytest.raises(MetricInputError, match="more than once"):
        bootstrap_pixel_metrics(iter(maps), iter(masks), np.ones((1, 6), int))
