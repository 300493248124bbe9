"""Published numbers beside measured ones, what dialects alone move, recipes, heat maps, addresses."""

from dataclasses import replace

import pytest

from bench.metrics import AUPRO_DIALECTS, IC_LPIPS_DIALECTS, IMAGE_DIALECTS, MASK_DIALECTS, PIXEL_DIALECTS
from bench.record import catalogue
from bench.record.record import UNKNOWN, Record
from reports.board.costs import per_image, published_costs
from reports.board.glossary import column_title
from reports.board.tables import leaderboard
from reports.site.addresses import slugs
from reports.site.by_category import STEPS, heat_map
from reports.site.published_rows import PUBLISHED_MEAN, gap_lines, published_lines
from reports.site.reproduce import narrow, rerun_commands
from reports.site.roc_pr_curves import plots
from reports.site.sensitivity import published_gains, sensitivities
from reports.site.svg_lines import legend
from reports.site.views import mean_table


def both(results):
    return leaderboard((*results.records, *results.dialects), None, results.baseline)


def accuracy(board):
    return next(column for column in board.columns if column.metric == "accuracy")


def test_every_dialect_that_can_be_asked_for_is_explained():
    asked = {*AUPRO_DIALECTS, *IC_LPIPS_DIALECTS, *IMAGE_DIALECTS, *MASK_DIALECTS, *PIXEL_DIALECTS}
    assert asked <= set(catalogue.dialects())


def test_a_published_row_is_never_best_nor_ranked_and_names_its_paper_and_data_set(results):
    board = leaderboard(results.records, results.replicates)
    columns = [accuracy(board)]
    view = mean_table(board, columns, "")
    lines = published_lines(results.published, columns, view.heads, None)
    assert [(line.generator, line.source, line.dataset) for line in lines] == [
        ("seas", "Seas", "mvtec_ad"),
        ("weak", "Seas", "mvtec_ad"),
    ]
    assert all(not cell.best and not cell.rank for line in lines for cell in line.cells)
    assert lines[0].cells[0].text == "81.0"


def test_the_iou_of_a_run_and_that_of_lfd_are_told_apart_where_they_share_a_column(board):
    board.add(generator="none", level="pixel", metric="iou", value=0.5)
    (column,) = leaderboard(board.records).columns
    assert column_title(column) == "IoU (at the best F1)"
    assert column_title(replace(column, dialect="truncate")) == "IoU (truncate)"
    printed = replace(
        board.records[0],
        kind="published",
        source="SeaS, Table 4",
        category=PUBLISHED_MEAN,
        dialect="per-image-oracle-truncate",
    )
    unstated = replace(printed, source="Other, Table 1", dialect=UNKNOWN)
    notes = {
        line.source: line.cells[0].note
        for line in published_lines(
            [printed, unstated], [column], mean_table(leaderboard(board.records), [column], "").heads, None
        )
    }
    assert "IoU at the best threshold of each image" in notes["SeaS"]
    assert "not stated" in notes["Other"]
    both_rules = [column, replace(column, dialect="per-image-oracle-truncate")]
    (line,) = published_lines([printed], both_rules, (), None)
    assert [cell.text for cell in line.cells] == ["", "50.0"]
    assert "IoU" not in line.cells[1].note


def test_a_gap_tells_the_difference_and_why_it_is_no_comparison(results):
    board = both(results)
    (line,) = gap_lines(results.published, board, results.records)
    assert (line.generator, line.published) == ("weak", "71.0")
    assert line.difference_sort == pytest.approx(line.measured_sort - 0.71)
    assert any("mvtec_ad" in reason for reason in line.reasons)
    assert any("split" in reason and "unknown" in reason for reason in line.reasons)


def test_a_published_number_of_a_dialect_is_set_against_the_same_dialect(results):
    printed = replace(results.published[0], dialect="truncate")
    (line,) = gap_lines([printed], both(results), (*results.records, *results.dialects))
    exact = gap_lines(results.published[:1], both(results), results.records)[0]
    assert line.measured_sort == pytest.approx(exact.measured_sort * 1.1)


def test_a_mix_that_a_paper_does_not_state_is_set_against_every_mix_of_the_method(results):
    (known,) = gap_lines(results.published, both(results), results.records)
    printed = next(each for each in results.published if each.generator == known.generator)
    lines = gap_lines([replace(printed, mix=UNKNOWN)], both(results), results.records)
    assert known.measured in {line.measured for line in lines}
    assert all("training set" in line.reasons[-1] for line in lines)


def test_a_category_of_another_data_set_is_no_counterpart(results):
    printed = replace(results.published[0], category="bolt")
    assert gap_lines([printed], both(results), results.records) == ()
    assert len(gap_lines([replace(printed, dataset="d")], both(results), results.records)) == 1


def test_dialects_move_the_same_predictions_apart_and_change_gains(results):
    (found,) = sensitivities(both(results), results.published)
    assert found.dialects == ("exact", "last-batch", "truncate")
    widest = max(span.high - span.low for span in found.spans)
    assert float(found.spread) == pytest.approx(widest * 100, abs=0.05)
    assert float(found.change) > 0
    assert found.turned == "0 of 3"
    # seas 0.81 against the best other method of the table, weak 0.71
    assert (found.published_gain, found.within) == ("+10.0", "1 of 1")


def test_a_printed_margin_is_over_the_row_without_images_where_a_table_has_one(results):
    base = replace(results.published[0], generator="none", value=0.75)
    own = ("classification", "accuracy")
    assert published_gains(results.published, *own) == pytest.approx([0.10])
    assert published_gains((*results.published, base), *own) == pytest.approx([0.06])


def test_a_recipe_is_the_command_with_one_generator_and_one_detector(results):
    found = rerun_commands(results.records, results.commands)
    commands = {str(row.generator): recipe.command for (row, _), recipe in found.items()}
    assert commands["strong"] == "bench run --protocol p --detectors unet --generators strong"
    assert commands["none"] == "bench run --protocol p --detectors unet"
    keys = {task for recipe in found.values() for _, _, task in recipe.tasks}
    assert keys == set(results.commands)


def test_a_narrowed_command_keeps_everything_else_and_says_what_it_makes_beside():
    command = "bench run --protocol p --data 'a b' --generators x,y --scale smoke"
    assert narrow(command, "y[tiny]", "none") == (
        "bench run --protocol p --data 'a b' --generators 'y[tiny]' --scale smoke",
        "also makes the rows of the command's detectors, which no number here depends on",
    )


def test_shades_run_from_worst_to_best_whichever_way_a_metric_points(board):
    for number, generator in enumerate("abc"):
        board.add(generator=generator, metric="accuracy", value=number / 2)
        board.add(generator=generator, metric="kid", value=number / 2, direction="lower")
    made = leaderboard(board.records)
    shades = {
        column.metric: [cell.heat for cell in heat_map(made, column).lines[0].cells]
        for column in made.columns
    }
    assert shades == {"accuracy": [0, STEPS // 2, STEPS - 1], "kid": [STEPS - 1, STEPS // 2, 0]}


def test_curves_of_a_category_share_colours_and_stay_in_their_plot(results):
    (one,) = plots(results.curves)
    assert [(plot.level, plot.kind) for plot in one.plots] == [
        ("pixel", "roc"),
        ("pixel", "pr"),
        ("image", "roc"),
        ("image", "pr"),
    ]
    assert [line.colour for line in one.plots[0].lines] == [key.colour for key in legend(results.curves)]


def test_milliseconds_an_image_are_over_all_tasks_of_a_stage():
    facts = {"level": "cost", "metric": "generator.sample seconds", "unit": "s", "generator": "g"}
    records = [Record(**facts, value=2.0, n=10), Record(**facts, value=1.0, n=20)]
    assert per_image(records) == {("generator.sample", "g", "", "none"): pytest.approx(100.0)}
    (printed,) = published_costs([replace(records[0], generator="seas", unit="h", value=73.0, source="S, 7")])
    assert (printed.generator, printed.train_hours) == ("seas", "73")


def test_names_of_files_are_plain_short_and_different():
    names = ["Bolt", "bolt", "../../etc", "<script>", "x" * 300, "مسمار", "ü b"]
    found = slugs(names)
    assert found["Bolt"] == "bolt"
    assert len(set(found.values())) == len(names)
    assert all(
        len(slug) <= 43 and set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        for slug in found.values()
    )
