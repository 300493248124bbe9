"""Values that were not computed alike do not share a column; the cell says why."""

import pytest

from bench.records import UNKNOWN
from reports.tables import MEAN, leaderboard


def cells(board):
    made = leaderboard(board.records, board.replicates)
    return {row.generator.name: cell for (row, _, place), cell in made.cells.items() if place is MEAN}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("selection", "test-oracle"),
        ("features", "inception"),
        ("dataset_fingerprint", "other"),
        ("generated_per_type", 500),
        ("resolution", 512),
        ("metric_version", 2),
        ("reference", "train/good"),
    ],
)
def test_the_odd_one_shows_the_field_that_differs_and_the_others_keep_their_numbers(board, field, value):
    for generator in ("a", "b"):
        board.add(generator=generator, value=0.5)
    board.add(generator="c", value=0.9, **{field: value})
    found = cells(board)
    assert found["a"].value == found["b"].value == 0.5
    assert (found["c"].status, found["c"].value) == ("incomparable", None)
    assert field.replace("_", " ") in found["c"].reasons[0]
    assert repr(value) in found["c"].reasons[0]


def test_the_real_third_needs_no_generated_images_to_be_compared_with(board):
    board.add(mix="real", value=0.4)
    board.add(generator="a", value=0.5)
    assert {name: cell.status for name, cell in cells(board).items()} == {"none": "ok", "a": "ok"}


def test_a_field_that_is_unknown_compares_with_nothing(board):
    board.add(generator="a", value=0.5)
    board.add(generator="b", value=0.5)
    board.add(generator="c", value=0.5, selection=UNKNOWN)
    assert cells(board)["c"].reasons == ("selection is unknown",)


def test_each_category_may_have_its_own_reference_set(board):
    for category in ("bolt", "tile"):
        for generator in ("a", "b"):
            board.add(category=category, generator=generator, value=0.5, reference=f"{category}/real")
    assert all(cell.status == "ok" for cell in cells(board).values())


def test_two_records_of_one_cell_are_never_silently_one(board):
    board.add(generator="a", value=0.5, selection="last")
    board.add(generator="a", value=0.7, selection="test-oracle")
    (cell,) = cells(board).values()
    assert cell.status == "incomparable"
    assert "selection" in cell.reasons[0]


def test_an_incomparable_row_has_neither_rank_nor_gain(board, fill):
    fill(board, categories=("bolt",))
    odd = board.records.pop()
    board.add(category="bolt", generator=odd.generator, mix=odd.mix, value=0.9, scope="category")
    made = leaderboard(board.records, board.replicates)
    (row,) = [row for row in made.rows if row.generator.name == odd.generator]
    assert made.cells[row, made.columns[0], MEAN].rank is None
    assert (row, made.columns[0], MEAN) not in made.gains
