"""Maps made elsewhere: a number is shown, and what is unknown of their detector can be stated."""

import csv
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.results.of_store import collect_store
from bench.store import open_store

Bench = Callable[..., Any]


@pytest.fixture(scope="module")
def maps(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of every test image of the sound data set by the first-third split."""
    root = tmp_path_factory.mktemp("maps")
    rows = ["category,defect,stem,score"]
    for path in sorted(sound.glob("*/test/*/*.png")):
        category, _, defect, name = path.parts[-4:]
        if defect == "good" or int(name[:3]) >= 1:  # a third of 4 rounds down to one
            score = np.asarray(Image.open(path), np.float32).max()
            rows.append(f"{category},{defect},{path.stem},{score}")
    (root / "scores.csv").write_text("\n".join(rows))
    return root


def test_scores_made_elsewhere_are_shown_with_what_is_unknown_of_them(
    bench: Bench, sound: Path, maps: Path, store: Path, tmp_path: Path
) -> None:
    words = ("score", "--predictions", maps, "--against", sound, "--resolution", 64, "--store", store)
    output = bench(*words, "--out", tmp_path / "records.CSV")
    assert output.code == 0, output
    (row,) = [line for line in output.out.splitlines() if line.startswith("none")]
    assert "unknown" in row
    assert "–" in row  # the value has its interval
    assert "training set, scope of a model and selection are unknown" in output.out
    output = bench(
        *words, "--mix", "real", "--scope", "category", "--selection", "last", "--out", tmp_path / "b.csv"
    )
    assert "unknown" not in output.out
    before, after = (list(csv.DictReader((tmp_path / name).open())) for name in ("records.CSV", "b.csv"))
    assert {row["selection"] for row in before} == {"unknown"}
    assert {(row["mix"], row["scope"], row["selection"]) for row in after} == {("real", "category", "last")}
    assert [row["value"] for row in before] == [row["value"] for row in after]
    # the last statement about the same maps counts, on pages and in exports of the store
    (results,) = collect_store(open_store(store))
    assert {record.mix for record in results.records} == {"real"}


@pytest.mark.full
def test_a_second_ingest_under_one_name_replaces_the_rows_of_the_first(
    bench: Bench, sound: Path, maps: Path, store: Path, tmp_path: Path
) -> None:
    run = (
        "run",
        "--protocol",
        "mvtec_supervised",
        "--data",
        sound,
        "--detectors",
        "mine",
        "--scale",
        "smoke",
    )
    for options in ((), ("--mix", "real", "--selection", "last")):
        words = ("ingest", "--detector", "mine", "--from", maps, "--data", sound, "--store", store)
        assert bench(*words, *options).code == 0
        output = bench(*run, "--store", store)
        assert output.code == 0, output
    assert bench("export", tmp_path / "store.csv", "--store", store).code == 0
    rows = [row for row in csv.DictReader((tmp_path / "store.csv").open()) if row["detector"] == "mine"]
    assert {(row["mix"], row["selection"]) for row in rows} == {("real", "last")}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--mix", "reel"), "unknown mix 'reel'; did you mean 'real'?"),
        (("--scope", "defect"), "unknown scope 'defect'; known: category, dataset"),
        (("--selection", "best"), "unknown selection 'best'; known: fixed-epoch, last"),
        (("--mix", "real", "--generated-per-type", 3), "the mix 'real' has no generated images"),
    ],
)
@pytest.mark.parametrize("command", ["score", "ingest"])
def test_what_the_catalogue_does_not_know_is_refused_before_any_work(
    refused: Callable[..., str],
    sound: Path,
    maps: Path,
    store: Path,
    command: str,
    options: Any,
    sentence: str,
) -> None:
    words = {
        "score": ("score", "--predictions", maps, "--against", sound),
        "ingest": ("ingest", "--detector", "mine", "--from", maps, "--data", sound),
    }[command]
    assert sentence in refused(*words, "--store", store, *options)
    assert not store.exists()


def test_the_command_that_ingest_prints_names_the_split_and_the_store(
    bench: Bench, sound: Path, maps: Path, tmp_path: Path
) -> None:
    store = tmp_path / "my store"
    words = ("ingest", "--detector", "mine", "--from", maps, "--data", sound, "--split", "first-third@1")
    output = bench(*words, "--mix", "real", "--store", store)
    assert output.code == 0, output
    (line,) = [line for line in output.out.splitlines() if line.startswith("ingested as mine: bench ")]
    command = shlex.split(line.removeprefix("ingested as mine: bench "))
    assert command[-4:] == ["--split", "first-third@1", "--store", str(store)]
    planned = bench(*command, "--scale", "smoke", "--dry-run")
    assert planned.code == 0, planned
    assert "score.detection" in planned.out


def test_advice_names_the_command_that_was_run(
    refused: Callable[..., str], sound: Path, maps: Path, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "scores.csv").write_text("category,defect,stem,score\n")
    words = ("score", "--predictions", tmp_path / "few", "--against", sound, "--store", store)
    assert "Mend these files, then score again" in refused(*words)
