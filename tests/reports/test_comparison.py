"""Two results against each other: what is chance, what is paired, what cannot be compared."""

from dataclasses import replace

import pytest

from bench.record.record import UNKNOWN
from bench.results.run import Results
from reports.board.comparison import compare


def results(board, **fields):
    facts = {"protocol": "p", "scale": "smoke", "dataset": "d", "provenance": {}, **fields}
    return Results(records=tuple(board.records), replicates=board.replicates, **facts)


def means(found):
    return {(each.generator, each.metric): each for each in found if each.category == "mean"}


def test_results_against_themselves_are_the_same_tasks(board, fill):
    fill(board)
    held = results(board)
    found = compare(held, held)
    assert {each.verdict for each in found} == {"the same task"}
    assert {each.difference for each in found} == {0.0}
    assert {each.category for each in found} == {"mean", "bolt", "cloth", "tile"}


def test_draws_of_the_same_resamples_give_a_paired_interval(board, fill):
    fill(board)
    first = results(board)
    moved = {
        f"{task}/second": {name: draws + 0.05 for name, draws in held.items()}
        for task, held in board.stored.items()
    }
    board.stored |= moved
    lifted = [replace(each, task=f"{each.task}/second", value=each.value + 0.05) for each in first.records]
    found = means(compare(first, replace(first, records=tuple(lifted))))
    strong = found["strong", "accuracy"]
    assert (strong.verdict, strong.interval) == ("better", "paired")
    assert strong.low == pytest.approx(0.05) == pytest.approx(strong.high)


def test_stated_errors_are_taken_as_independent(board):
    images = {"mix": "", "detector": "none", "level": "generation", "metric": "is", "unit": "1"}
    board.add(value=1.5, stderr=0.3, **images)
    first = results(board)
    other = [replace(each, value=2.5, stderr=0.4, task="another") for each in board.records]
    (mean, _) = compare(first, replace(first, records=tuple(other)))
    assert (mean.verdict, mean.interval) == ("better", "independent errors")
    assert (mean.low, mean.high) == pytest.approx((0.02, 1.98), abs=1e-3)


def test_a_cell_with_another_key_says_why_and_gives_no_difference(board):
    board.add(value=0.5)
    first = results(board)
    other = [replace(each, value=0.9, resolution=64, task="another") for each in board.records]
    for each in compare(first, replace(first, records=tuple(other))):
        assert (each.verdict, each.difference, each.low) == ("not comparable", None, None)
        assert each.reasons == ("64 x 64 pixels, not 32 x 32",)


def test_means_are_taken_over_the_common_categories_alone(board):
    for category, value in (("bolt", 0.4), ("tile", 0.6)):
        board.add(category=category, value=value)
    first = results(board)
    second = replace(first, records=(replace(board.records[0], category="bolt", value=0.5, task="b"),))
    found = [each for each in compare(first, second) if each.category == "mean"]
    assert [(each.first, each.second) for each in found] == [(0.4, 0.5)]
    assert [each.verdict for each in found] == ["not tested"]


def test_another_version_of_a_method_is_compared_under_its_name(board):
    board.add(value=0.5)
    first = results(board)
    other = [replace(each, detector_version=2, value=0.6, task="b") for each in board.records]
    (mean, _) = compare(first, replace(first, records=tuple(other)))
    assert mean.difference == pytest.approx(0.1)


def test_nothing_in_common_is_nothing_to_compare(board):
    board.add(value=0.5)
    first = results(board)
    other = [replace(each, category="elsewhere") for each in board.records]
    assert compare(first, replace(first, records=tuple(other))) == []


def test_a_failed_cell_says_on_which_side(board):
    board.add(value=0.5)
    first = results(board)
    failed = [replace(each, value=None, status="failed", note="loss is not finite") for each in board.records]
    (mean, _) = compare(first, replace(first, records=tuple(failed)))
    assert mean.verdict == "no value"
    assert mean.reasons == ("second: loss is not finite",)


def test_a_task_is_the_same_task_also_where_something_of_it_is_unknown(board):
    board.add(value=0.5, selection=UNKNOWN)
    one = means(compare(results(board), results(board)))
    assert [cell.verdict for cell in one.values()] == ["the same task"]


def test_values_of_which_something_is_unknown_are_shown_without_a_difference(board):
    first = replace(board.add(value=0.5, selection=UNKNOWN), task="one")
    second = replace(first, value=0.75, task="other")
    sides = (Results("p", "smoke", "d", (record,), board.replicates, {}) for record in (first, second))
    (cell,) = means(compare(*sides)).values()
    assert (cell.first, cell.second, cell.difference) == (0.5, 0.75, None)
    assert (cell.verdict, cell.reasons) == ("not comparable", ("selection is unknown",))
    assert (cell.first_text, cell.second_text) == ("50.0", "75.0")
