"""Bootstrap: replicates equal the metrics of the drawn images; intervals, paired differences, Holm."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import MetricInputError, image_metrics, pixel_metrics, recall_at_tnr
from bench.metrics.bootstrap import (
    bootstrap_image_metrics,
    bootstrap_mean,
    bootstrap_recall_at_tnr,
    holm,
    resample_counts,
)
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics


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


def test_replicates_of_recall_at_a_true_negative_rate_are_those_of_the_drawn_images():
    scores, labels = scored(60, seed=4)
    counts = resample_counts(60, 40, rng(), strata=labels)
    replicates = bootstrap_recall_at_tnr(scores, labels, counts)
    for count, value in zip(counts, replicates, strict=True):
        drawn = np.repeat(np.arange(60), count)
        assert value == recall_at_tnr(scores[drawn], labels[drawn])["recall"]


def test_holm_multiplies_by_the_hypotheses_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.5]).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_bad_counts_and_one_class_resamples_are_refused(case):
    scores, labels = scored()
    with pytest.raises(MetricInputError, match=r"\[R, 40\]"):
        bootstrap_image_metrics(scores, labels, np.ones((5, 39), int))
    with pytest.raises(MetricInputError, match="one class only"):
        bootstrap_image_metrics(scores, labels, np.where(labels, 1, 0)[None])
    maps, masks = case(0)
    with pytest.raises(MetricInputError, match="more than once"):
        bootstrap_pixel_metrics(iter(maps), iter(masks), np.ones((1, 6), int))
