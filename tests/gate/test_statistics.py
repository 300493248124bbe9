"""The stochastic test, and what a fixed tolerance or an unpooled test would do in its place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.gate.statistics import pooled, shift
from bench.metrics.bootstrap import holm

METRICS, SEEDS, TRIALS = 10, 3, 1500
SD = 0.77  # points; the spread of one seed
PAST = 6  # earlier updates of three seeds each
DROP = 3.0
ALPHA = 0.05


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Before, after and history of unchanged metrics: [trials, metrics, (groups,) seeds]."""
    rng = np.random.default_rng(8)
    shape = (TRIALS, METRICS, SEEDS)
    return rng.normal(0, SD, shape), rng.normal(0, SD, shape), rng.normal(0, SD, (*shape[:2], PAST, SEEDS))


def share_of_red(before: np.ndarray, after: np.ndarray, history: np.ndarray) -> np.ndarray:
    """Share of trials in which each metric is red by our rule: pooled, one-sided, Holm over the family."""
    red = np.zeros(METRICS)
    for old, new, past in zip(before, after, history, strict=True):
        ps = [shift(a, b, list(h)).p_loss for a, b, h in zip(old, new, past, strict=True)]
        red += holm(ps) <= ALPHA
    return red / len(before)


def test_a_fixed_tolerance_of_a_point_turns_a_metric_red_in_one_unchanged_run_of_twenty(drawn) -> None:
    before, after, _ = drawn
    red = (after.mean(-1) - before.mean(-1) < -1).mean()
    assert red == pytest.approx(0.054, abs=0.006)


def test_welchs_test_overlooks_most_drops_of_three_points(drawn) -> None:
    before, after, _ = drawn
    p = stats.ttest_ind(after - DROP, before, axis=-1, equal_var=False, alternative="less").pvalue
    assert (p <= ALPHA / METRICS).mean() == pytest.approx(0.39, abs=0.03)


def test_pooled_history_is_red_in_one_of_two_hundred_and_sees_the_drop(drawn) -> None:
    before, after, history = drawn
    assert share_of_red(before, after, history).mean() == pytest.approx(0.005, abs=0.002)
    fallen = after.copy()
    fallen[:, 0] -= DROP
    assert share_of_red(before, fallen, history)[0] == pytest.approx(0.96, abs=0.02)


def test_the_p_value_is_that_of_students_test_where_there_is_no_history() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(0.7, 0.02, 4), rng.normal(0.68, 0.02, 3)
    peer = stats.ttest_ind(after, before, alternative="less")
    found = shift(before, after)
    assert found.p_loss == pytest.approx(peer.pvalue, rel=1e-9)
    assert found.p_gain == pytest.approx(1 - peer.pvalue, rel=1e-9)


def test_the_pooled_deviation_is_that_of_all_deviations_from_their_groups_means() -> None:
    assert pooled([[1.0, 3.0], [10.0, 12.0, 14.0]]).sd == pytest.approx(np.sqrt((2 + 8) / 3))
    assert pooled([[1.0, 3.0], [10.0, 12.0, 14.0]]).df == 3


def test_values_that_were_only_repeated_add_no_knowledge() -> None:
    assert pooled([[1.0, 2.0], [1.0, 2.0]]) == pooled([[1.0, 2.0]])


def test_a_lower_value_is_a_gain_where_lower_is_better() -> None:
    found = shift([1.0, 1.1, 1.05], [0.5, 0.6, 0.55], sign=-1)
    assert found.change == pytest.approx(0.5) and found.p_gain < 1e-3 < found.p_loss


def test_a_margin_forgives_what_is_smaller() -> None:
    before, after = [0.800, 0.801, 0.802], [0.790, 0.791, 0.792]
    assert shift(before, after).p_loss < 1e-3
    assert shift(before, after, margin=0.02).p_loss > 0.99


def test_metrics_that_never_varied_are_tested_against_the_floor() -> None:
    still: list[list[float]] = [[0.25] * 3, [0.5] * 3]
    assert shift([0.25] * 3, [0.125] * 3, still).p_loss == 0.0
    assert shift([0.25] * 3, [0.125] * 3, still, floor=0.1).p_loss > 0.05


def test_the_visible_loss_is_found_nine_times_in_ten() -> None:
    rng = np.random.default_rng(3)
    level, found = 0.01, []
    for _ in range(2000):
        before, after = rng.normal(0, 1, 3), rng.normal(0, 1, 3)
        history = list(rng.normal(0, 1, (9, 3)))
        seen = shift(before, after - 4.6, history, level=level)
        found.append((seen.p_loss <= level, seen.visible))
    hits, visible = np.mean(found, axis=0)
    assert visible == pytest.approx(3.1, abs=0.2) and hits > 0.9


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.floats(0, 0.2),
)
def test_a_loss_and_a_gain_are_never_both_likely(before, after, margin) -> None:
    found = shift(before, after, margin=margin)
    assert 0 <= found.p_loss <= 1 and 0 <= found.p_gain <= 1
    assert found.p_loss + found.p_gain >= 1 - 1e-9 or max(found.p_loss, found.p_gain) >= 0.5 - 1e-9
