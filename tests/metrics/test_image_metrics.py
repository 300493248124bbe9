"""Image metrics and image scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score
from torch.nn import functional

from bench.metrics import MetricInputError, UndefinedMetricError, image_metrics, image_scores


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from([np.float32, np.float64]))
def test_they_are_scikit_learns_at_any_scores_and_ties(data, dtype):
    size = data.draw(st.integers(2, 30))
    width = 32 if dtype == np.float32 else 64
    scores = data.draw(
        hnp.arrays(dtype, size, elements=st.floats(-2, 2, width=width) | st.sampled_from([0.0, 1.0]))
    )
    labels = data.draw(hnp.arrays(bool, size))
    if labels.all() or not labels.any():
        with pytest.raises(UndefinedMetricError):
            image_metrics(scores, labels)
        return
    ours = image_metrics(scores, labels)
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert ours["auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert ours["ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert ours["f1_max"] == pytest.approx(f1.max(), abs=1e-12)


def test_a_case_counted_by_hand():
    result = image_metrics([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0])
    assert result == {
        "auroc": 0.75,
        "ap": pytest.approx(5 / 6),
        "f1_max": pytest.approx(0.8),
        "threshold": 0.7,
    }


def test_one_positive_and_constant_scores():
    assert image_metrics([3.0, 1.0, 2.0], [1, 0, 0])["auroc"] == 1.0
    constant = image_metrics(np.zeros(10), np.arange(10) < 3)
    assert constant["auroc"] == 0.5
    assert constant["ap"] == pytest.approx(0.3)


def test_dialects_change_f1_and_ap_as_their_rules_say():
    rng = np.random.default_rng(0)
    labels = rng.random(80) < 0.4
    scores = rng.random(80) * 0.6 + labels * 0.2
    exact, grid, area = (image_metrics(scores, labels, dialect=d) for d in ("default", "grid21", "trapezoid"))
    loop = max(
        2 * np.sum((scores > t) & labels) / (labels.sum() + np.sum(scores > t))
        for t in [0.05 * i for i in range(21)]
    )
    assert grid["f1_max"] == pytest.approx(loop, abs=1e-12)
    assert grid["f1_max"] < exact["f1_max"]
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert area["ap"] == pytest.approx(auc(recall, precision), abs=1e-12)
    assert area["ap"] != exact["ap"]


def test_scores_of_images_are_the_largest_pixel_or_the_largest_padded_window_mean():
    maps = np.random.default_rng(0).normal(size=(3, 30, 26)).astype(np.float32)
    assert image_scores(maps).tolist() == maps.max(axis=(1, 2)).tolist()
    pooled = functional.avg_pool2d(torch.from_numpy(maps)[:, None].double(), 21, stride=1, padding=10)
    np.testing.assert_allclose(image_scores(maps, "pool21"), pooled.amax(dim=(1, 2, 3)), atol=1e-12)
    assert not np.allclose(image_scores(maps), image_scores(maps, "pool21"))


def test_a_window_whose_sum_overflows_is_refused():
    with pytest.raises(MetricInputError, match="overflows"):
        image_scores(np.full((1, 30, 30), 1.7e308), "pool21")


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([0.1, np.nan], [0, 1], "NaN"),
        ([0.1, np.inf], [0, 1], "infinite"),
        ([0.1, 0.2], [0, 1, 1], "same shape"),
        ([], [], "empty"),
        ([0.1, 0.2], [0, 2], "0 and 1"),
        ([[0.1], [0.2]], [0, 1], "1 axes"),
        (["a", "b"], [0, 1], "real numbers"),
        ([0.1, 0.2], [0, 0], "no positive"),
    ],
)
def test_bad_input_is_refused(scores, labels, words):
    with pytest.raises(MetricInputError, match=words):
        image_metrics(scores, labels)
