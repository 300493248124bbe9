"""Classification and screening metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from bench.metrics import (
    MetricInputError,
    UndefinedMetricError,
    classification_metrics,
    harmonic_mean,
    recall_at_tnr,
    recall_by_group,
)


def test_they_are_scikit_learns():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    called = logits.argmax(axis=1)
    result = classification_metrics(logits, labels)
    assert result["accuracy"] == accuracy_score(labels, called)
    assert result["macro_recall"] == pytest.approx(recall_score(labels, called, average="macro"))
    assert result["macro_f1"] == pytest.approx(f1_score(labels, called, average="macro"))
    assert (result["confusion"] == confusion_matrix(labels, called)).all()


def test_classes_that_do_not_occur_are_left_out_of_the_means():
    result = classification_metrics(np.eye(3)[[0, 0, 1]], [0, 0, 1])
    assert result["recall"] == {0: 1.0, 1: 1.0}
    assert result["macro_recall"] == 1.0


@pytest.mark.parametrize(("negatives", "tnr"), [(19, 0.95), (2, 0.95), (4, 0.8)])
def test_a_rate_that_so_few_negatives_cannot_show_is_undefined(negatives, tnr):
    scores = np.arange(negatives + 3.0)
    labels = np.arange(negatives + 3) >= negatives
    with pytest.raises(UndefinedMetricError, match=f"{negatives} normal images are too few"):
        recall_at_tnr(scores, labels, tnr)
    more = np.append(scores, -1.0), np.append(labels, False)
    assert recall_at_tnr(*more, tnr=negatives / (negatives + 1))["recall"] == 1.0


def test_recall_at_tnr_keeps_at_least_that_share_of_normals_out():
    scores = np.concatenate([np.arange(20), [18.5, 19.5, 3]])
    labels = np.arange(23) >= 20
    result = recall_at_tnr(scores, labels)
    assert (result["threshold"], result["tnr"], result["recall"]) == (18.0, 0.95, pytest.approx(2 / 3))


@given(
    st.lists(st.integers(0, 5), min_size=5, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=9)
)
def test_no_lower_threshold_would_do(normal, anomalous):
    scores = np.array(normal + anomalous, float)
    labels = np.arange(scores.size) >= len(normal)
    result = recall_at_tnr(scores, labels, 0.8)
    kept_out = [np.mean(np.array(normal) <= t) for t in normal]
    lowest = min(t for t, share in zip(normal, kept_out, strict=True) if share >= 0.8 - 1e-9)
    assert result["threshold"] == lowest
    assert result["recall"] == pytest.approx(np.mean(np.array(anomalous) > lowest))


def test_recall_by_group_uses_one_threshold_for_all_groups():
    scores = [0.1, 0.2, 0.3, 0.9, 0.25, 0.8]
    labels = [0, 0, 0, 1, 1, 1]
    groups = ["good", "good", "good", "crack", "crack", "dent"]
    assert recall_by_group(scores, labels, groups, tnr=1.0) == {"crack": 0.5, "dent": 1.0}


def test_the_harmonic_mean_is_zero_with_a_zero():
    assert harmonic_mean([0.5, 1.0]) == pytest.approx(2 / 3)
    assert harmonic_mean([0.5, 0.0]) == 0.0


def test_bad_input_is_refused():
    with pytest.raises(MetricInputError, match="0 to 1"):
        classification_metrics(np.eye(2), [0, 2])
    with pytest.raises(MetricInputError, match="one an image"):
        classification_metrics(np.eye(2), [0])
    with pytest.raises(MetricInputError, match="tnr"):
        recall_at_tnr([1.0, 2.0], [0, 1], tnr=0)
    with pytest.raises(UndefinedMetricError, match="no negative"):
        recall_at_tnr([1.0, 2.0], [1, 1])
