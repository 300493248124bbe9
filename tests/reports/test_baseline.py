"""Gains are counted from the row that the protocol names, whatever it is trained on."""

from collections.abc import Iterator

import numpy as np
import pytest

from reports.board.tables import MEAN, Leaderboard, leaderboard
from reports.site.views import detectors, gain_table, mean_table


@pytest.fixture
def made(board) -> Iterator[Leaderboard]:
    """Own synthesis 50 %, beside the real third 60 %, replaced by it 55 %, by a generator's images 90 %."""
    right = np.arange(40)
    for mix, generator, skill in (
        ("pseudo", "none", 0.5),
        ("pseudo+real", "none", 0.6),
        ("real", "none", 0.55),
        ("generated", "g", 0.9),
    ):
        board.add(
            right < 40 * skill, mix=mix, generator=generator, generated_per_type=10 * (generator == "g")
        )
    return leaderboard(board.records, board.replicates, "pseudo")


def test_a_gain_is_over_the_baseline_of_the_protocol(made: Leaderboard) -> None:
    gained = {row.mix: gain.value for (row, _, place), gain in made.gains.items() if place is MEAN}
    assert gained == {
        "pseudo+real": pytest.approx(0.1),
        "real": pytest.approx(0.05),
        "generated": pytest.approx(0.4),
    }


def test_rows_without_a_generator_are_called_by_what_they_train_on(made: Leaderboard) -> None:
    assert {row.mix: label for row, label in made.labels.items()} == {
        "pseudo": "own synthesis only",
        "pseudo+real": "own synthesis + real third",
        "real": "real third only",
        "generated": "g",
    }


def test_the_baseline_stands_first_is_marked_and_has_no_gain(made: Leaderboard) -> None:
    (detector,) = detectors(made)
    table = mean_table(made, made.columns_of(detector), "all")
    assert [line.is_baseline for line in table.lines] == [True, False, False, False]
    assert table.lines[0].label == "own synthesis only"
    gains = gain_table(made, made.columns_of(detector), "gains")
    assert gains is not None
    assert sorted(line.label for line in gains.lines) == [
        "g",
        "own synthesis + real third",
        "real third only",
    ]


def test_a_detector_on_depth_is_another_column_than_on_colour(board) -> None:
    for modality, skill in (("rgb", 30), ("depth", 20), ("rgb+depth", 35)):
        for mix in ("real", "generated"):
            board.add(np.arange(40) < skill, mix=mix, modality=modality, detector="unet", seed=0)
    made = leaderboard(board.records)
    assert sorted(made.detectors.values()) == ["unet", "unet on depth", "unet on rgb+depth"]
    assert {cell.status for cell in made.cells.values()} == {"ok"}
