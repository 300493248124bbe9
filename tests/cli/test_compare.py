"""`bench compare`: two stores or runs, with what is chance, and words for what cannot be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
FIRST = {"none": (0.5, 0.5), "strong": (0.6, 0.6), "same": (0.7, 0.7)}
SECOND = {"none": (0.5, 0.5), "strong": (0.9, 0.9), "other": (0.7, 0.7)}


@pytest.fixture
def stores(written_store: Write, tmp_path: Path) -> tuple[Path, Path]:
    return written_store(tmp_path / "a", FIRST), written_store(tmp_path / "b", SECOND)


def by_generator(said: Any, category: str = "mean") -> dict[str, dict[str, Any]]:
    return {each["generator"]: each for each in json.loads(said.out) if each["category"] == category}


def test_a_difference_beyond_chance_is_told_with_its_paired_interval(
    bench: Callable[..., Any], stores: tuple[Path, Path]
) -> None:
    said = bench("compare", *stores, "--json")
    found = by_generator(said)
    assert said.code == 0
    assert (found["strong"]["verdict"], found["strong"]["interval"]) == ("better", "paired")
    assert found["strong"]["difference"] == pytest.approx(0.3)
    # the same resamples: their noise is gone from the difference
    assert found["strong"]["low"] == pytest.approx(0.3) == pytest.approx(found["strong"]["high"])
    assert found["none"]["verdict"] == "the same task"


def test_rows_of_one_side_alone_say_so(bench: Callable[..., Any], stores: tuple[Path, Path]) -> None:
    found = by_generator(bench("compare", *stores, "--json"))
    assert found["same"]["verdict"] == "only in the first"
    assert found["other"]["verdict"] == "only in the second"


def test_categories_are_shown_on_request(bench: Callable[..., Any], stores: tuple[Path, Path]) -> None:
    assert by_generator(bench("compare", *stores, "--json"), "bolt")["strong"]["verdict"] == "better"
    assert "bolt" not in bench("compare", *stores).out
    assert "\nbolt" in bench("compare", *stores, "--categories").out


def test_what_is_not_comparable_says_why_in_words_and_has_no_difference(
    bench: Callable[..., Any], written_store: Write, tmp_path: Path
) -> None:
    one = written_store(tmp_path / "a", FIRST)
    other = written_store(tmp_path / "b", FIRST, selection="test-oracle", resolution=128)
    said = bench("compare", one, other)
    assert "3 not comparable" in said.out
    assert "checkpoint chosen on the test set, not checkpoint of the last epoch" in said.out
    assert "128 x 128 pixels, not 64 x 64" in said.out
    assert all(
        each["difference"] is None for each in by_generator(bench("compare", one, other, "--json")).values()
    )


def test_two_runs_of_one_store_are_named(
    bench: Callable[..., Any], written_store: Write, tmp_path: Path
) -> None:
    root = written_store(tmp_path / "s", FIRST)
    written_store(root, SECOND, run="20260102-000000-bbbb")
    named = by_generator(bench("compare", f"{root}@20260101", f"{root}@20260102", "--json"))
    assert named["strong"]["verdict"] == "better"
    assert by_generator(bench("compare", "20260101", "20260102", "--store", root, "--json")) == named


@pytest.mark.parametrize("what", ["nowhere", "nowhere@run"])
def test_a_store_that_is_not_there_is_refused_in_one_line(
    refused: Callable[..., str], stores: tuple[Path, Path], what: str
) -> None:
    assert "store" in refused("compare", stores[0], what)


def test_a_run_that_is_not_there_is_refused_with_those_that_are(
    refused: Callable[..., str], stores: tuple[Path, Path]
) -> None:
    assert "20260101-000000-aaaa" in refused("compare", stores[0], f"{stores[0]}@2025")
