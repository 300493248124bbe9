"""The bounds between AP, best F1 and IoU hold for every ranking, and some rankings come near them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from bench.published.audit.ranking_bounds import ap_range, iou_range, mean_ap_range, mean_iou_range

Ranking = tuple[list[float], list[bool]]

LABELS = st.lists(st.booleans(), min_size=1, max_size=60).filter(any)
PROPERTY = settings(max_examples=120, deadline=None)


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    """Scores with ties and labels with at least one positive; runs of labels reach the corners."""
    if draw(st.booleans()):
        runs = draw(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=6))
        labels = [label for label, count in runs for _ in range(count)]
        labels.append(True)
    else:
        labels = draw(LABELS)
    steps = draw(st.sampled_from([3, 8, 10_000]))
    if draw(st.booleans()):
        scores = [float(-i) for i in range(len(labels))]
    else:
        scores = draw(st.lists(st.integers(0, steps).map(float), min_size=len(labels), max_size=len(labels)))
    return scores, labels


def ap_and_f1(ranking: Ranking) -> tuple[float, float]:
    scores, labels = ranking
    precision, recall, _ = precision_recall_curve(labels, scores)
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    return float(average_precision_score(labels, scores)), float(f1.max())


def best_iou(ranking: Ranking) -> float:
    scores, labels = map(np.array, ranking)
    return max(
        float((labels & (scores >= threshold)).sum() / (labels | (scores >= threshold)).sum())
        for threshold in np.unique(scores)
    )


@PROPERTY
@given(rankings())
def test_no_ranking_leaves_the_range_of_its_best_f1(ranking: Ranking) -> None:
    ap, f1 = ap_and_f1(ranking)
    low, high = ap_range(f1, f1)
    assert low <= ap + 1e-12
    assert ap <= high + 1e-12


@PROPERTY
@given(rankings())
def test_the_best_iou_of_a_ranking_is_f1_over_2_minus_f1(ranking: Ranking) -> None:
    low, high = iou_range(*[ap_and_f1(ranking)[1]] * 2)
    assert best_iou(ranking) == pytest.approx(low) == pytest.approx(high)


@PROPERTY
@given(st.lists(rankings(), min_size=1, max_size=6))
def test_no_mean_over_categories_leaves_the_range_of_its_mean_f1(categories: list[Ranking]) -> None:
    pairs = np.array([ap_and_f1(ranking) for ranking in categories])
    ap, f1 = pairs.mean(axis=0)
    low, high = mean_ap_range(f1, f1)
    assert low <= ap + 1e-12
    assert ap <= high + 1e-12
    low, high = mean_iou_range(f1, f1)
    assert low - 1e-12 <= np.mean([best_iou(ranking) for ranking in categories]) <= high + 1e-12


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_wider_f1_leaves_a_wider_range(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for bounds in (ap_range, mean_ap_range, iou_range, mean_iou_range):
        assert bounds(low, high)[0] <= bounds(low, low)[0] + 2e-6
        assert bounds(low, high)[1] >= bounds(high, high)[1] - 2e-6
        assert bounds(low, low)[0] <= bounds(high, high)[0] + 2e-6


@given(st.floats(0, 1))
def test_what_one_ranking_may_do_a_mean_may_do(f1: float) -> None:
    assert mean_ap_range(f1, f1)[0] <= ap_range(f1, f1)[0]
    assert mean_ap_range(f1, f1)[1] >= ap_range(f1, f1)[1]


@pytest.mark.parametrize("f1", [0.05, 0.3, 0.64, 0.9, 0.99])
def test_the_highest_ap_is_met_by_the_ranking_of_the_proof(f1: float) -> None:
    positives = 4000
    recall = np.arange(1, positives + 1) / positives
    precision = np.minimum(1.0, f1 * recall / np.maximum(2 * recall - f1, f1 * recall))
    behind = np.ceil(np.arange(1, positives + 1) / precision - np.arange(1, positives + 1)).astype(int)
    ap, best_f1 = ap_and_f1(ranking_of(behind))
    assert best_f1 <= f1 + 1e-9
    assert ap == pytest.approx(ap_range(f1, f1)[1], abs=0.01)


@pytest.mark.parametrize("f1", [0.05, 0.3, 0.64, 0.9, 0.99])
def test_the_lowest_ap_is_met_by_a_ranking_of_the_proof(f1: float) -> None:
    positives, late = 500, 50_000
    rankings_by_ap = {}
    for p in np.linspace(f1 / (2 - f1), 1, 200)[:-1]:
        first = round(positives * f1 * p / (2 * p - f1))
        behind = round(first * (1 - p) / p)
        rankings_by_ap[(np.arange(1, first + 1) / (behind + np.arange(1, first + 1))).sum() / positives] = (
            first,
            behind,
        )
    first, behind = rankings_by_ap[min(rankings_by_ap)]
    ap, best_f1 = ap_and_f1(ranking_of(np.repeat([behind, late], [first, positives - first])))
    assert best_f1 == pytest.approx(f1, abs=0.01)
    assert ap == pytest.approx(ap_range(f1, f1)[0], abs=0.015)


def ranking_of(behind: np.ndarray) -> Ranking:
    """The ranking in which positive i stands behind so many negatives."""
    labels: list[bool] = []
    for gap in np.diff(behind, prepend=0):
        labels += [False] * int(gap)
        labels.append(True)
    return [float(-i) for i in range(len(labels))], labels


def test_the_ends_are_the_ends() -> None:
    assert ap_range(1.0, 1.0) == pytest.approx((1.0, 1.0), abs=1e-4)
    assert ap_range(0.0, 0.0) == pytest.approx((0.0, 0.0), abs=1e-4)
    assert iou_range(0.0, 1.0) == (0.0, 1.0)
    assert ap_range(-0.1, 1.1)[0] >= 0.0
