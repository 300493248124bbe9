"""How values become cells: means over seeds and categories, what voids them, and intervals."""

from dataclasses import replace

import numpy as np
import pytest

from bench.record.record import read_records, write_records
from reports.board.tables import MEAN, leaderboard


def cell_of(board, category=MEAN, generator="g", metric="accuracy", **options):
    made = leaderboard(board.records, board.replicates, **options)
    found = [
        cell
        for (row, column, place), cell in made.cells.items()
        if (row.generator.name, column.metric, place) == (generator, metric, category)
    ]
    assert len(found) == 1
    return found[0]


def test_a_mean_is_over_seeds_first_and_then_over_categories(board):
    for category, seed, value in (("a", 0, 0.1), ("a", 1, 0.3), ("b", 0, 0.6), ("b", 1, 0.8)):
        board.add(category=category, seed=seed, value=value)
    assert cell_of(board, "a").value == pytest.approx(0.2)
    assert cell_of(board).value == pytest.approx(0.45)


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_one_failed_or_skipped_category_voids_the_mean_and_says_where_and_why(board, status):
    board.add(category="a", value=0.5)
    board.add(category="b", status=status, note="it burned")
    cell = cell_of(board)
    assert (cell.status, cell.value, cell.reasons) == (status, None, ("b: it burned",))
    assert cell_of(board, "a").value == 0.5


def test_a_category_that_the_data_leaves_undefined_for_all_is_left_out_and_counted(board):
    for number in range(15):
        for generator in ("g", "h"):
            facts = {"status": "undefined", "note": "one type"} if number == 14 else {"value": number / 14}
            board.add(category=f"c{number:02d}", generator=generator, **facts)
    cell = cell_of(board)
    assert (cell.categories, cell.of_categories) == (14, 15)
    assert cell.value == pytest.approx(np.mean([number / 14 for number in range(14)]))
    assert cell_of(board, "c14").status == "undefined"


def test_undefined_for_one_row_only_voids_the_mean_of_that_row(board):
    board.add(category="a", generator="g", status="undefined", note="made one image")
    board.add(category="a", generator="h", value=0.5)
    board.add(category="b", generator="g", value=0.5)
    board.add(category="b", generator="h", value=0.5)
    assert cell_of(board, generator="g").status == "undefined"
    assert cell_of(board, generator="h").value == 0.5


def test_a_failure_still_voids_where_the_data_leaves_the_other_rows_undefined(board):
    board.add(category="a", generator="g", value=0.5)
    board.add(category="a", generator="h", value=0.5)
    board.add(category="b", generator="g", status="undefined", note="one type")
    board.add(category="b", generator="h", status="failed", note="out of memory")
    assert cell_of(board, generator="g").categories == 1
    assert cell_of(board, generator="h").status == "failed"


def test_a_cell_that_other_rows_have_and_this_one_lacks_is_not_run_rather_than_ignored(board):
    board.add(category="a", generator="g", value=0.5)
    board.add(category="a", generator="h", value=0.5)
    board.add(category="b", generator="h", value=0.5)
    cell = cell_of(board, generator="g")
    assert (cell.status, cell.reasons) == ("missing", ("b: not run",))


def test_the_interval_of_one_seed_is_that_of_the_mean_of_replicates_as_wide_as_the_stated_errors(board, fill):
    fill(board)
    means = np.mean(
        [
            board.stored[record.task]["classification.accuracy"]
            for record in board.records
            if record.generator == "strong"
        ],
        axis=0,
    )
    cell = cell_of(board, generator="strong")
    low, high = np.percentile(means, [2.5, 97.5])
    assert cell.low < low < high < cell.high
    assert cell.high - cell.low < 1.2 * (high - low)
    errors = [record.stderr for record in board.records if record.generator == "strong"]
    assert cell.spread.error == pytest.approx(np.sqrt(np.sum(np.square(errors))) / 3, rel=0.1)
    assert 39 <= cell.spread.df <= 3 * 39
    assert cell.interval == "bootstrap over images"


def test_one_test_image_in_a_category_leaves_the_spread_of_the_mean_unknown(board):
    for category, images in (("a", 40), ("b", 1)):
        for generator in ("g", "h"):
            flags = np.arange(images) % 2 == (generator == "g")
            board.add(flags, category=category, generator=generator)
    cell = cell_of(board, generator="g")
    assert not cell.spread.can_be_tested
    assert (cell.low, cell.rank) == (pytest.approx(0.025 * cell.value), None)


def test_several_seeds_are_resampled_with_the_images_and_widen_the_interval(board, fill):
    fill(board, seeds=(0, 1, 2))
    cell = cell_of(board, generator="same")
    assert cell.interval == "bootstrap over images and seeds"
    draws = np.mean(
        [board.stored[r.task]["classification.accuracy"] for r in board.records if r.generator == "same"],
        axis=0,
    )
    low, high = np.percentile(draws, [2.5, 97.5])
    assert cell.high - cell.low > high - low


def test_seeds_alone_are_resampled_where_no_replicates_were_stored(board):
    for seed, value in enumerate((0.1, 0.2, 0.6)):
        board.add(seed=seed, value=value)
    cell = cell_of(board)
    assert cell.interval == "bootstrap over seeds"
    assert cell.low < 0.1 < cell.value < 0.6 < cell.high  # 4.3 errors to either side: three seeds are few


def test_standard_errors_give_a_normal_interval_of_the_mean_where_nothing_else_is_known(board):
    board.add(category="a", value=1.0, stderr=0.3, unit="1")
    board.add(category="b", value=2.0, stderr=0.4, unit="1")
    cell = cell_of(board)
    assert cell.high - cell.value == pytest.approx(1.959964 * 0.25)
    assert cell.interval == "Student's t, from standard errors"


def test_the_normal_interval_of_a_share_stays_between_0_and_1(board):
    board.add(value=0.1, stderr=0.2, unit="fraction")
    assert (cell_of(board).low, cell_of(board).high) == (0.0, pytest.approx(0.1 + 1.959964 * 0.2))


def test_a_stated_interval_is_kept_for_a_single_category(board):
    board.add(value=0.5, ci_low=0.4, ci_high=0.7, ci_method="bca")
    assert (cell_of(board).low, cell_of(board).high, cell_of(board).interval) == (0.4, 0.7, "bca")


def test_replicates_that_are_not_finite_are_left_out(board):
    record = board.add(np.arange(40) % 2 == 0)
    stored = board.stored[record.task]["classification.accuracy"]
    before = cell_of(board)
    stored[:10] = np.nan
    assert (cell_of(board).low, cell_of(board).high) == pytest.approx((before.low, before.high), abs=0.01)
    stored[:150] = np.nan
    assert cell_of(board).draws is None


def test_records_of_single_defect_types_and_costs_stay_out_of_the_leaderboard(board):
    board.add(value=0.5)
    board.add(value=0.9, defect="hole")
    board.add(value=12.0, level="cost", metric="fit seconds")
    assert cell_of(board).value == 0.5
    assert {column.level for column in leaderboard(board.records).columns} == {"classification"}


def test_dialects_detectors_and_presets_have_columns_and_rows_of_their_own(board):
    board.add(value=0.1)
    board.add(value=0.2, dialect="grid21")
    board.add(value=0.3, detector="unet", detector_variant="big")
    board.add(value=0.4, generator="g", generator_variant="released")
    made = leaderboard(board.records)
    assert len(made.columns) == 3
    assert sorted(made.labels.values()) == ["g", "g[released]"]


def test_methods_that_differ_in_parameters_alone_are_told_apart(board):
    board.add(value=0.1, generator_params="aaaaaaaaaa")
    board.add(value=0.2, generator_params="bbbbbbbbbb")
    assert sorted(leaderboard(board.records).labels.values()) == ["g (aaaaaaaa)", "g (bbbbbbbb)"]


def test_the_order_of_records_changes_nothing(board, fill):
    fill(board, seeds=(0, 1))
    forward = leaderboard(board.records, board.replicates)
    backward = leaderboard(board.records[::-1], board.replicates)
    assert forward == backward


def test_records_read_back_from_a_file_make_the_same_leaderboard(board, fill, tmp_path):
    fill(board)
    path = tmp_path / "records.jsonl"
    write_records(path, board.records)
    read = [replace(new, task=old.task) for new, old in zip(read_records(path), board.records, strict=True)]
    assert leaderboard(read, board.replicates) == leaderboard(board.records, board.replicates)


def test_the_unit_of_a_column_comes_from_values_not_from_failures(board):
    board.add(category="a", status="failed", note="x", metric="kid")
    board.add(category="b", value=0.01, metric="kid", direction="lower", unit="mmd2")
    (column,) = leaderboard(board.records).columns
    assert (column.unit, column.sign) == ("mmd2", -1)


def test_a_column_without_values_points_neither_up_nor_down(board):
    board.add(status="skipped", note="x", metric="kid", level="generation-normal")
    (column,) = leaderboard(board.records).columns
    assert column.direction == ""
    board.add(value=0.1, metric="kid", direction="lower", level="generation")
    assert {column.direction for column in leaderboard(board.records).columns} == {"lower"}


def test_a_name_that_runs_right_to_left_is_kept_apart_from_the_sentence_around_it(board):
    board.add(value=0.1, generator="a\u202eb")
    board.add(value=0.2, generator="plain")
    assert sorted(leaderboard(board.records).labels.values()) == ["plain", "\u2068a\u202eb\u2069"]
