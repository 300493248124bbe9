"""What few images let one say: spreads, intervals and p-values, by hand and against the whole population."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.metrics.bootstrap import bootstrap_image_metrics, bootstrap_mean, resample_counts
from bench.metrics.uncertainty import (
    SHARE,
    UNKNOWN,
    StandardError,
    interval,
    joint_df,
    p_equal,
    spread_of_average,
    spread_of_draws,
    spread_of_mean,
    widened,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_spread_of_a_bootstrapped_mean_is_the_textbook_standard_error():
    values = rng().normal(size=8)
    counts = resample_counts(8, 4000, rng())
    spread = spread_of_draws(bootstrap_mean(values, counts), counts)
    assert spread.error == pytest.approx(np.std(values, ddof=1) / math.sqrt(8), rel=0.03)
    assert spread.df == 7
    assert spread_of_mean(values) == StandardError(pytest.approx(np.std(values, ddof=1) / math.sqrt(8)), 7)


def test_each_stratum_counts_by_what_it_brings_to_the_variance():
    values = np.concatenate([rng(1).normal(size=60), rng(2).normal(size=4) * 1e-3])
    strata = np.arange(64) >= 60
    counts = resample_counts(64, 1000, rng(3), strata)
    assert spread_of_draws(bootstrap_mean(values, counts), counts, strata).df == pytest.approx(59, abs=4)
    values = np.concatenate([rng(1).normal(size=60) * 1e-3, rng(2).normal(size=4) * 10])
    assert spread_of_draws(bootstrap_mean(values, counts), counts, strata).df == pytest.approx(3, abs=0.2)


def test_where_nothing_varied_the_smallest_stratum_counts():
    strata = np.arange(20) >= 14
    counts = resample_counts(20, 50, rng(), strata)
    assert spread_of_draws(np.ones(50), counts, strata) == StandardError(0.0, 5)


def test_one_image_in_a_stratum_leaves_the_spread_unknown():
    labels = np.arange(9) > 0
    counts = resample_counts(9, 50, rng(), labels)
    draws = bootstrap_image_metrics(rng(1).normal(size=9), labels, counts)["auroc"]
    assert spread_of_draws(draws, counts, labels) == UNKNOWN
    assert spread_of_mean([0.5]) == UNKNOWN
    assert spread_of_average([StandardError(0.1, 9), UNKNOWN]) == UNKNOWN


def test_degrees_of_freedom_join_by_satterthwaite():
    assert joint_df([2.0, 2.0], [9, 9]) == pytest.approx(18)
    assert joint_df([1.0, 0.0], [4, 99]) == pytest.approx(4)
    assert joint_df([1.0, 1.0], [math.inf, math.inf]) == math.inf
    average = spread_of_average([StandardError(0.3, 9), StandardError(0.4, 9)])
    assert (average.error, average.df) == (
        pytest.approx(0.25),
        pytest.approx(0.25**2 / (0.09**2 + 0.16**2) * 9),
    )


def test_an_interval_without_draws_is_students():
    low, high = interval(2.0, StandardError(0.1, 5))
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 5, loc=2.0, scale=0.1))
    assert interval(2.0, StandardError(0.1, math.inf)) == pytest.approx(stats.norm.interval(0.95, 2.0, 0.1))


def test_a_skewed_value_is_covered_to_where_its_draws_reach():
    draws = 1.0 - rng().exponential(0.05, 2000)
    low, high = interval(0.95, StandardError(float(np.std(draws)), 100), draws)
    assert low < 0.95 - 1.99 * np.std(draws)
    assert low == pytest.approx(np.quantile(draws, stats.norm.cdf(-stats.t.ppf(0.975, 100))), abs=1e-9)
    assert high > 0.95


def test_what_n_images_have_not_shown_may_still_be_so_many_of_all():
    assert interval(0.0, StandardError(0.0, 29), bounds=SHARE) == (0.0, pytest.approx(1 - 0.025 ** (1 / 30)))
    assert interval(1.0, UNKNOWN, bounds=SHARE) == (pytest.approx(0.025), 1.0)
    assert interval(3.0, UNKNOWN) is None
    assert interval(3.0, StandardError(0.0, 9)) is None


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.floats(0, 1), st.floats(0, 1), st.integers(0, 200),
    st.lists(st.floats(0, 1), min_size=2, max_size=20).map(np.array),
)  # fmt: skip
def test_no_interval_of_a_share_has_no_width_or_leaves_its_value_out(value, error, df, draws):
    low, high = interval(value, StandardError(error, df), draws, SHARE)
    assert 0.0 <= low <= value <= high <= 1.0
    assert low < high


def test_p_is_students_and_nothing_is_tested_of_five_images():
    assert p_equal(0.25, StandardError(0.1, 7)) == pytest.approx(2 * stats.t.sf(2.5, 7))
    assert p_equal(-0.25, StandardError(0.1, math.inf)) == pytest.approx(2 * stats.norm.sf(2.5))
    assert p_equal(0.25, StandardError(0.001, 4)) is None
    assert p_equal(0.25, StandardError(0.0, 40)) is None
    assert p_equal(0.0, StandardError(0.0, 40)) == 1.0


def test_widened_draws_keep_their_mean_and_have_the_stated_deviation():
    draws = rng().normal(size=50)
    wide = widened(draws, 3.0)
    assert (wide.mean(), np.std(wide)) == (pytest.approx(draws.mean()), pytest.approx(3.0))
    assert widened(np.ones(5), 3.0).tolist() == [1.0] * 5
