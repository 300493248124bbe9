"""`bench.load`: its examples run as they stand, and the types of its columns hold."""

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench as package
from bench.errors import BenchError

Write = Callable[..., Path]
ACCURACIES = {"none": (0.5, 0.25), "crop_paste": (0.75, 0.75), "perlin": None}


def test_the_examples_of_its_docstring_are_true(
    written_store: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_store(tmp_path / "bench-store", ACCURACIES)
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestFinder().find(package.load, "bench.load", globs={})
    results = [doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(each) for each in examples]
    assert sum(result.attempted for result in results) >= 10
    assert sum(result.failed for result in results) == 0


def test_columns_are_the_fields_of_a_record_in_plain_types(written_store: Write, tmp_path: Path) -> None:
    frame = package.load(written_store(tmp_path / "s", ACCURACIES), published=True)
    assert str(frame["value"].dtype) == "float64"
    assert str(frame["resolution"].dtype) == "Int64"
    assert frame.loc[frame["kind"] == "measured", "resolution"].eq(64).all()
    assert frame.loc[frame["source"] == "AnomalyHybrid, Table 2", "resolution"].isna().all()
    assert frame["generator"].map(type).eq(str).all()


def test_a_value_of_two_runs_is_one_row_and_a_run_can_be_named(written_store: Write, tmp_path: Path) -> None:
    root = written_store(tmp_path / "s", ACCURACIES)
    written_store(root, {"none": (0.5, 0.25)}, run="20260102-000000-bbbb")
    assert len(package.load(root)) == 6
    assert package.load(root, "20260102")["generator"].unique().tolist() == ["none"]


@pytest.mark.parametrize(
    ("run", "told"),
    [("20260103", r"unknown run '20260103'"), ("2026", "2 runs of .* begin with '2026'")],
)
def test_a_run_that_is_not_one_is_told(written_store: Write, tmp_path: Path, run: str, told: str) -> None:
    root = written_store(tmp_path / "s", ACCURACIES)
    written_store(root, ACCURACIES, run="20260102-000000-bbbb")
    with pytest.raises(BenchError, match=told):
        package.load(root, run)


def test_a_folder_without_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="there is no store"):
        package.load(tmp_path / "nothing")


def test_printed_values_say_that_they_are(written_store: Write, tmp_path: Path) -> None:
    root = written_store(tmp_path / "s", ACCURACIES)
    frame = package.load(root, published=True)
    assert set(package.load(root)["kind"]) == {"measured"}
    assert len(frame[frame["kind"] == "published"]) > 2000
    assert pd.api.types.is_float_dtype(frame["value"])


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json", ".md", ".tex"])
def test_a_store_is_exported_with_gains_and_with_what_papers_printed(
    bench: Callable[..., Any], written_store: Write, tmp_path: Path, ending: str
) -> None:
    root = written_store(tmp_path / "s", ACCURACIES)
    out = tmp_path / f"board{ending}"
    said = bench("export", out, "--store", root, "--table", "leaderboard", "--published")
    assert said.code == 0, said.err
    assert b"AnomalyHybrid" in out.read_bytes()
    if ending == ".csv":
        board = pd.read_csv(out)
        (gain,) = board[
            (board["generator"] == "crop_paste")
            & (board["category"] == "mean")
            & (board["kind"] == "measured")
        ]["gain"]
        assert gain == pytest.approx(0.375)
