"""Curves, tiles, cases, gaps and costs."""

import numpy as np
import pytest

from bench.record.record import Record
from bench.results.run import Trace
from reports.board.costs import amount, cost_table
from reports.board.gaps import gaps
from reports.site.map_cases import map_cases
from reports.site.pictures import Album
from reports.site.sample_grids import sample_grids
from reports.site.svg_lines import colours
from reports.site.tiles import OUTLINE, heat, outlined
from reports.site.training_curves import HEIGHT, POINTS, WIDTH, panels


def trace(values, generator="g", mix="generated", seed=0, category=""):
    return Trace(
        "unet", generator, mix, category, seed, {"step": np.arange(len(values)), "loss": np.array(values)}
    )


def test_a_long_curve_is_thinned_and_stays_inside_its_panel():
    (panel,) = panels([trace(np.exp(-np.arange(5000) / 700))])
    points = [tuple(map(float, each.split(","))) for each in panel.lines[0].points.split()]
    assert len(points) == POINTS
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert panel.x_ticks[-1].text == "4999"


def test_a_curve_that_falls_by_decades_is_drawn_on_a_logarithmic_axis_in_every_panel():
    made = panels([trace([10.0, 0.01], category="a"), trace([1.0, 0.9], category="b")])
    assert [panel.logarithmic for panel in made] == [True, True]


def test_values_that_are_not_finite_are_left_out_and_a_flat_curve_is_drawn():
    (panel,) = panels([trace([np.nan, 1.0, np.inf, 1.0])])
    assert len(panel.lines[0].points.split()) == 2
    assert panels([trace([np.nan])]) == ()


def test_a_colour_means_the_same_row_in_key_and_panels():
    traces = [trace([1.0, 2.0], "none", "real"), trace([2.0, 3.0], "g"), trace([2.0, 3.0], "g", seed=1)]
    colour = colours(traces)
    assert len(set(colour.values())) == 2
    (panel,) = panels(traces)
    assert all(line.colour == colour[line.generator, line.mix] for line in panel.lines)


def test_an_outline_surrounds_a_mask_and_hides_none_of_it():
    picture = np.full((32, 32, 3), 100, np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[10:20, 10:20] = True
    drawn = outlined(picture, mask)
    assert (drawn[mask] == 100).all()
    assert (drawn[9, 10:20] == OUTLINE).all()


def test_a_mask_of_one_pixel_is_still_outlined_in_a_small_tile():
    mask = np.zeros((512, 512), bool)
    mask[200, 300] = True
    drawn = outlined(np.zeros((64, 64, 3), np.uint8), mask)
    assert (drawn == OUTLINE).all(axis=2).any()


def test_heat_grows_lighter_with_the_score_and_bears_constant_maps():
    ramp = heat(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8), 0.0, 1.0, 8).astype(float).sum(axis=2)
    assert (np.diff(ramp.ravel()) >= 0).all()
    assert heat(np.ones((8, 8), np.float32), 1.0, 1.0, 4).shape == (4, 4, 3)


def test_cases_hold_best_and_worst_defects_and_the_loudest_normal_image(results, tmp_path):
    (cases,) = map_cases(results.maps, Album(tmp_path))
    kinds = [name.split(":")[0] for name in cases.names]
    assert kinds == ["best", "best", "worst", "worst", "normal image with the highest score"]
    assert [column.mix for column in cases.columns] == [
        "real",
        "generated+real",
        "generated+real",
        "generated",
    ]
    assert len({cases.truth.height, *(column.picture.height for column in cases.columns)}) == 1


def test_the_case_with_perfect_maps_is_best(results, tmp_path):
    for each in results.maps:
        amaps = np.load(each.prediction / "amaps.npy")
        amaps[2] = np.load(each.pool / "masks.npy")[2]
        np.save(each.prediction / "amaps.npy", amaps)
    (cases,) = map_cases(results.maps, Album(tmp_path))
    assert cases.names[0] == "best: hole, AP 100%"


def test_sample_grids_show_the_real_third_first(results, tmp_path):
    (grid,) = sample_grids(results.galleries, Album(tmp_path))
    assert [(strip.source, strip.is_real, strip.of) for strip in grid.strips] == [
        ("real", True, 6),
        ("strong", False, 6),
    ]


def test_cells_missing_for_one_reason_share_a_line_and_failures_come_first():
    facts = {"mix": "generated", "detector": "unet", "level": "pixel", "metric": "ap"}
    records = [
        Record(**facts, generator=name, category=category, status="skipped", note="no types")
        for name in ("a", "b")
        for category in ("x", "y")
    ]
    records.append(Record(**facts, generator="a", category="x", status="failed", note="boom"))
    failed, skipped = gaps(records)
    assert (failed.reason, failed.cells) == ("boom", 1)
    assert skipped.rows == (("a", "generated"), ("b", "generated"))
    assert (skipped.categories, skipped.metrics, skipped.cells) == (("x", "y"), ("AP",), 4)


def test_time_adds_up_over_categories_and_memory_peaks():
    records = [
        Record(
            level="cost", metric=metric, unit=unit, value=value, category=category, seed=seed, generator="g"
        )
        for seed in (0, 1)
        for category, seconds, memory in (("x", 2.0, 100.0), ("y", 3.0, 400.0))
        for metric, unit, value in (("fit seconds", "s", seconds), ("fit peak memory", "bytes", memory))
    ]
    table = cost_table(records)
    assert table.measures == (("seconds", "s"), ("peak memory", "bytes"))
    assert [(line.stage, line.generator, line.values) for line in table.lines] == [("fit", "g", (5.0, 400.0))]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(3.0, "s", "3.0 s"), (600.0, "s", "10.0 min"), (7200.0, "s", "2.0 h"), (2.0**31, "bytes", "2.00 GiB")],
)
def test_costs_are_written_in_units_a_reader_can_hold(value, unit, text):
    assert amount(value, unit) == text


def test_a_picture_of_pure_noise_is_written_too(tmp_path):
    # Entropy-optimised JPEG overflows Pillow's buffer on such pictures.
    pixels = np.random.default_rng(0).integers(0, 255, (128, 652, 3), dtype=np.uint8)
    assert (tmp_path / Album(tmp_path).add(pixels, "noise").href).stat().st_size > 10_000
