"""Values that were not computed alike do not share a column; the cell says why."""

import json
from dataclasses import replace

import pytest

from bench.record.record import UNKNOWN
from reports.board.tables import MEAN, leaderboard
from reports.files.export import export


def cells(board):
    made = leaderboard(board.records, board.replicates)
    return {row.generator.name: cell for (row, _, place), cell in made.cells.items() if place is MEAN}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("selection", "test-oracle", "checkpoint chosen on the test set"),
        ("features", "canonical: Inception-2015", "features Inception-2015, not none"),
        ("dataset_fingerprint", "other", "other files in the data set"),
        ("generated_per_type", 5, "5 of 10 images a type"),
        ("generated_per_type", 500, "500 images a type, not 10"),
        ("resolution", 512, "512 x 512 pixels, not 32 x 32"),
        ("metric_version", 2, "version 2 of the metric, not 0"),
        ("reference", "train/good", "compared with train/good"),
    ],
)
def test_the_odd_one_says_in_words_what_differs_and_the_others_keep_their_numbers(board, field, value, words):
    for generator in ("a", "b"):
        board.add(generator=generator, value=0.5)
    board.add(generator="c", value=0.9, **{field: value})
    found = cells(board)
    assert found["a"].value == found["b"].value == 0.5
    assert (found["c"].status, found["c"].value) == ("incomparable", None)
    assert words in found["c"].reasons[0]


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
    assert "checkpoint" in cell.reasons[0]


def test_an_incomparable_row_has_neither_rank_nor_gain(board, fill):
    fill(board, categories=("bolt",))
    odd = board.records.pop()
    board.add(category="bolt", generator=odd.generator, mix=odd.mix, value=0.9, scope="category")
    made = leaderboard(board.records, board.replicates)
    (row,) = [row for row in made.rows if row.generator.name == odd.generator]
    assert made.cells[row, made.columns[0], MEAN].rank is None
    assert (row, made.columns[0], MEAN) not in made.gains


def test_a_row_is_itself_where_something_of_it_is_unknown(board):
    board.add(mix=UNKNOWN, scope=UNKNOWN, selection=UNKNOWN, generator="none", value=0.75)
    (cell,) = cells(board).values()
    assert (cell.status, cell.value) == ("ok", 0.75)
    assert cell.reasons == ("training set, scope of a model and selection are unknown",)


def test_what_is_known_to_differ_is_left_out_whatever_else_is_unknown(board):
    for generator in ("a", "b"):
        board.add(generator=generator, value=0.5)
    board.add(generator="c", value=0.9, scope=UNKNOWN, resolution=512)
    odd = cells(board)["c"]
    assert (odd.status, odd.reasons) == ("incomparable", ("512 x 512 pixels, not 32 x 32",))


def test_known_rows_decide_what_a_column_is_also_where_they_are_fewer(board):
    board.add(generator="a", value=0.5)
    for generator in ("b", "c"):
        board.add(generator=generator, value=0.6, selection=UNKNOWN, resolution=512)
    statuses = {name: cell.status for name, cell in cells(board).items()}
    assert statuses == {"a": "ok", "b": "incomparable", "c": "incomparable"}


def test_an_unknown_row_is_shown_without_a_rank_and_is_not_counted_from(board, fill):
    fill(board, categories=("bolt",))
    best = max(board.records, key=lambda record: record.value)
    board.records[board.records.index(best)] = replace(best, selection=UNKNOWN)
    leaders = leaderboard(board.records, board.replicates)
    (row,) = [row for row in leaders.rows if row.generator.name == best.generator]
    cell = leaders.cells[row, leaders.columns[0], MEAN]
    assert (cell.value, cell.rank, cell.is_comparable) == (best.value, None, False)
    assert (row, leaders.columns[0], MEAN) not in leaders.gains
    assert any(gain.value for gain in leaders.gains.values())

    board.records = [replace(record, selection=UNKNOWN) for record in board.records]
    assert not leaderboard(board.records, board.replicates).gains


def test_what_is_unknown_stands_below_a_table_and_its_value_is_never_best(board, fill, tmp_path):
    fill(board, categories=("bolt",))
    best = max(board.records, key=lambda record: record.value)
    board.records[board.records.index(best)] = replace(best, selection=UNKNOWN)
    texts = {}
    for format in ("markdown", "latex"):
        path = export(board.records, tmp_path / format, format, board.replicates)
        texts[format] = path.read_text()
        assert "strong: selection is unknown, so it has no rank and no gain" in texts[format]
    value = f"{best.value:.1%}".rstrip("%")
    assert value in texts["markdown"]
    assert f"**{value}" not in texts["markdown"]
    assert f"\\textbf{{{value}" not in texts["latex"]
    (path,) = [export(board.records, tmp_path / "board.json", "json", board.replicates, table="leaderboard")]
    (line,) = [
        line for line in json.loads(path.read_text()) if (line["row"], line["category"]) == ("strong", "mean")
    ]
    assert (line["value"], line["note"], line["rank"]) == (best.value, "selection is unknown", None)
