"""Ranks and gains tell differences from chance, on paired draws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from bench.metrics.uncertainty import StandardError
from reports.board.cells import Cell
from reports.board.identity import Method, Row
from reports.board.ranks import difference_bounds, difference_p, gains, pair_p, ranks
from reports.board.tables import MEAN, leaderboard


def cell(value, draws, df=1000.0):
    draws = np.asarray(draws, dtype=np.float64)
    return Cell("ok", value, draws=draws, spread=StandardError(float(np.std(draws)), df))


def rows(count):
    return [Row("generated", Method(f"g{i}")) for i in range(count)]


def by_name(board, what):
    made = leaderboard(board.records, board.replicates)
    return {
        row.generator.name: found for (row, _, place), found in getattr(made, what).items() if place is MEAN
    }


def test_chances_do_not_depend_on_the_threads_of_the_blas():
    drawn = np.random.default_rng(0).normal(size=(61, 400))
    cells = [cell(float(draws.mean()), draws) for draws in drawn]
    bits = set()
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            bits.add(pair_p(cells, *np.triu_indices(len(cells), 1)).tobytes())
    assert len(bits) == 1


def test_clearly_better_rows_rank_first_and_equal_rows_share_a_rank(board, fill):
    fill(board)
    found = {name: each.rank for name, each in by_name(board, "cells").items()}
    assert found == {"strong": 1, "none": 2, "same": 2, "weak": 4}


def test_where_lower_is_better_the_lowest_ranks_first():
    noise = np.random.default_rng(0).normal(size=300) * 0.01
    low, high = rows(2)
    line = {low: cell(0.1, 0.1 + noise), high: cell(0.5, 0.5 + noise[::-1])}
    assert ranks(line, -1) == {low: 1, high: 2}
    assert ranks(line, +1) == {low: 2, high: 1}


def test_differences_within_chance_give_everyone_rank_one():
    rng = np.random.default_rng(1)
    line = {row: cell(0.5 + i * 0.001, 0.5 + rng.normal(size=300) * 0.05) for i, row in enumerate(rows(5))}
    assert set(ranks(line, 1).values()) == {1}


def test_pairing_finds_a_small_steady_difference_that_intervals_alone_hide():
    shared = np.random.default_rng(2).normal(size=500) * 0.1
    jitter = np.random.default_rng(3).normal(size=500) * 0.001
    one, other = cell(0.51, 0.51 + shared), cell(0.5, 0.5 + shared + jitter)
    assert difference_p(one, other) < 1e-6
    assert difference_p(one, cell(0.5, 0.5 + shared[::-1])) > 0.5


def test_many_rows_can_still_be_told_apart_with_few_draws():
    rng = np.random.default_rng(4)
    line = {row: cell(i / 10, i / 10 + rng.normal(size=100) * 0.005) for i, row in enumerate(rows(12))}
    assert sorted(ranks(line, 1).values()) == list(range(1, 13))


def test_rows_without_draws_have_no_rank():
    one, other, third = rows(3)
    draws = np.random.default_rng(5).normal(size=100)
    line = {one: cell(0.5, draws), other: Cell("ok", 0.9), third: Cell("failed")}
    assert ranks(line, 1) == {}


def stated(value, error, df=math.inf):
    return Cell("ok", value, spread=StandardError(error, df))


def test_rows_that_state_errors_are_ranked_as_independent():

    cells = dict(zip(rows(3), (stated(2.0, 0.1), stated(1.0, 0.1), stated(1.1, 0.1)), strict=True))
    assert list(ranks(cells, 1).values()) == [1, 2, 2]
    assert difference_p(stated(2.0, 0.3), stated(1.0, 0.4)) == pytest.approx(math.erfc(2.0 / math.sqrt(2)))
    assert difference_bounds(stated(2.0, 0.3), stated(1.0, 0.4)) == pytest.approx((0.02, 1.98), abs=1e-3)


def test_errors_of_zero_are_no_proof_of_a_difference():
    assert difference_p(stated(0.0, 0.0), stated(1.0, 0.0)) is None
    assert difference_p(stated(0.5, 0.0), stated(0.5, 0.0)) == 1.0


def test_five_images_prove_nothing_and_six_may():
    draws = np.random.default_rng(6).normal(size=400) * 0.001
    few = dict(zip(rows(2), (cell(0.9, 0.9 + draws, df=4), cell(0.1, 0.1 + draws[::-1], df=4)), strict=True))
    assert set(ranks(few, 1).values()) <= {1}
    assert difference_p(*few.values()) is None
    six = dict(zip(rows(2), (cell(0.9, 0.9 + draws, df=5), cell(0.1, 0.1 + draws[::-1], df=5)), strict=True))
    assert list(ranks(six, 1).values()) == [1, 2]


def test_the_few_degrees_of_freedom_of_a_difference_make_its_interval_wide():
    draws = np.random.default_rng(7).normal(size=400) * 0.01
    wide = difference_bounds(cell(0.9, 0.9 + draws, df=1), cell(0.1, 0.1 + draws[::-1], df=1))
    narrow = difference_bounds(cell(0.9, 0.9 + draws, df=60), cell(0.1, 0.1 + draws[::-1], df=60))
    assert wide[0] < narrow[0] < 0.8 < narrow[1] < wide[1]
    assert wide[1] - wide[0] > 4 * (narrow[1] - narrow[0])


def test_values_that_are_written_alike_share_a_rank_however_sure_their_further_digits():
    line = dict(zip(rows(2), (stated(1.23449, 1e-6), stated(1.23351, 1e-6)), strict=True))
    assert list(ranks(line, 1).values()) == [1, 2]
    assert list(ranks(line, 1, "{:.2f}".format).values()) == [1, 1]


def test_a_gain_that_is_written_as_zero_is_not_marked():
    base, row = rows(2)
    line = {base: stated(0.5, 1e-6), row: stated(0.50002, 1e-6)}
    assert gains(line, base, 1)[row].significant
    assert not gains(line, base, 1, "{:.3f}".format)[row].significant


def test_metrics_of_images_that_state_errors_are_ranked(board):
    for generator, value in (("good", 2.0), ("poor", 1.0)):
        board.add(mix="", detector="none", level="generation", metric="is", generator=generator, value=value,
                  stderr=0.05, unit="1")  # fmt: skip
    made = leaderboard(board.records)
    found = {row.generator.name: cell.rank for (row, _, place), cell in made.cells.items() if place is MEAN}
    assert found == {"good": 1, "poor": 2}


def test_seeds_alone_give_an_interval_but_no_rank(board):
    for seed in range(3):
        board.add(generator="a", seed=seed, value=0.9 + seed / 100)
        board.add(generator="b", seed=seed, value=0.1 + seed / 100)
    found = by_name(board, "cells")
    assert all(each.low < each.high for each in found.values())
    assert {each.rank for each in found.values()} == {None}


def test_a_gain_is_the_paired_difference_to_the_real_third(board, fill):
    fill(board)
    found, values = by_name(board, "gains"), by_name(board, "cells")
    assert set(found) == {"strong", "same", "weak"}
    assert found["strong"].value == pytest.approx(values["strong"].value - values["none"].value)
    paired = values["strong"].draws - values["none"].draws
    least, most = np.percentile(paired, [2.5, 97.5])
    assert found["strong"].low < least < most < found["strong"].high
    assert found["strong"].high - found["strong"].low < 1.2 * (most - least)
    assert found["strong"].significant
    assert found["weak"].significant
    assert found["weak"].value < 0


def test_a_row_equal_to_the_baseline_gains_nothing_and_has_no_interval_of_width_zero(board, fill):
    fill(board)
    same = by_name(board, "gains")["same"]
    assert (same.value, same.low, same.high, same.significant) == (0.0, None, None, False)


def test_gains_point_up_where_lower_is_better():
    base, row = Row("real", Method("none")), rows(1)[0]
    noise = np.random.default_rng(6).normal(size=200) * 0.01
    line = {base: cell(0.5, 0.5 + noise), row: cell(0.2, 0.2 + noise[::-1])}
    gain = gains(line, base, -1)[row]
    assert gain.value == pytest.approx(0.3)
    assert gain.low < 0.3 < gain.high


def test_no_gain_is_counted_from_a_baseline_that_failed():
    base, row = Row("real", Method("none")), rows(1)[0]
    assert gains({base: Cell("failed"), row: cell(0.5, np.ones(10))}, base, 1) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1, allow_nan=False), min_size=2, max_size=7), st.integers(0, 10_000))
def test_no_row_ranks_before_one_that_is_significantly_better(values, seed):
    rng = np.random.default_rng(seed)
    line = {
        row: cell(v, v + rng.normal(size=60) * rng.uniform(0.001, 0.5))
        for row, v in zip(rows(len(values)), values, strict=True)
    }
    found = ranks(line, 1)
    best = max(line, key=lambda row: line[row].value)
    assert found[best] == 1
    assert all(1 <= rank <= len(values) for rank in found.values())


def test_all_pairs_at_once_give_the_p_of_each_pair(board, fill):
    fill(board)
    whole_board = leaderboard(board.records, board.replicates)
    line = [whole_board.cells[row, whole_board.columns[0], None] for row in whole_board.rows]
    one, other = np.triu_indices(len(line), 1)
    expected = [difference_p(line[i], line[j]) for i, j in zip(one, other, strict=True)]
    assert pair_p(line, one, other) == pytest.approx(expected, rel=1e-9)


def test_rows_that_are_the_same_do_not_differ(board, fill):
    fill(board)
    whole_board = leaderboard(board.records, board.replicates)
    cell = whole_board.cells[whole_board.rows[0], whole_board.columns[0], None]
    assert pair_p([cell, cell], np.array([0]), np.array([1])).tolist() == [1.0]
