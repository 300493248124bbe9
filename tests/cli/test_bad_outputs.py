"""What cannot be ingested, shown, exported or extracted is told in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.store import open_store

DEFECTS = ("dent", "missing_part", "scratch", "stain")


def _predictions(folder: Path) -> Path:
    for category, defects in (("washer", DEFECTS), ("weave", ("cut", "hole", "missing_part", "stain"))):
        for defect in (*defects, "good"):
            (folder / category / defect).mkdir(parents=True)
    np.save(folder / "washer/dent/001.npy", np.zeros((64, 64), np.float32))
    return folder


def test_what_is_ingested_must_be_named_once(refused: Callable[..., str], sound: Path, store: Path) -> None:
    here = ("ingest", "--from", sound, "--data", sound, "--store", store)
    for words in ((), ("--generator", "a", "--detector", "b")):
        assert "either --generator NAME or --detector NAME" in refused(*here, *words)
    assert "'a/b' is not a name" in refused(*here, "--generator", "a/b")
    assert "'perlin' is a built-in generator; choose another" in refused(*here, "--generator", "perlin")
    assert not store.exists()


def test_a_folder_to_ingest_must_be_there_and_fit_the_data(
    refused: Callable[..., str],
    sound: Path,
    store: Path,
    tmp_path: Path,
    done_tasks: Callable[[], list[str]],
) -> None:
    ingest = ("ingest", "--data", sound, "--store", store)
    assert "no-such does not exist" in refused(*ingest, "--generator", "mine", "--from", "no-such")
    assert "--data DIR is missing" in refused("ingest", "--generator", "mine", "--from", sound)
    (tmp_path / "made/washr/dent/image").mkdir(parents=True)
    line = refused(*ingest, "--generator", "mine", "--from", tmp_path / "made")
    assert "washr/ is not a category of the data set (washer, weave)" in line
    line = refused(*ingest, "--detector", "mine", "--from", _predictions(tmp_path / "maps"))
    assert "washer/dent" in line
    assert "then ingest again" in line
    assert not done_tasks()


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("log", "0123abcd"),
        ("report",),
        ("export", "out.csv"),
        ("verify",),
        ("show", "0123abcd"),
        ("samples", "extract", "out", "--generator", "perlin"),
    ],
    ids=lambda words: words[0],
)
def test_without_a_store_there_is_nothing_to_show(
    words: tuple[str, ...], refused: Callable[..., str], store: Path
) -> None:
    line = refused(*words, "--store", store)
    assert f"there is no store in {store}" in line
    assert "--store DIR names another" in line
    assert not store.exists()


@pytest.mark.parametrize(
    "words",
    [("status",), ("report",), ("export", "out.csv"), ("samples", "extract", "out", "--generator", "perlin")],
    ids=lambda words: words[0],
)
def test_a_store_in_which_nothing_ran_says_so(
    words: tuple[str, ...], refused: Callable[..., str], store: Path
) -> None:
    open_store(store, create=True)
    assert f"nothing was run in the store {store} yet; `bench run`" in refused(*words, "--store", store)


def test_an_unknown_key_of_a_task_is_told(refused: Callable[..., str], store: Path) -> None:
    open_store(store, create=True)
    assert "no task has a key that begins with '0123'" in refused("log", "0123", "--store", store)
    for word in ("/", "../x", "[", ""):
        assert "is not a key of a task" in refused("log", word, "--store", store)


def test_an_export_needs_an_ending_that_tells_its_format(refused: Callable[..., str], store: Path) -> None:
    line = refused("export", "records.xlsx", "--store", store)
    assert "records.xlsx" in line
    assert ".csv, .parquet, .json" in line


def test_an_export_needs_a_place_where_a_file_can_be(
    refused: Callable[..., str], store: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "a.csv").mkdir()
    assert "a.csv is a folder; name a file" in refused("export", tmp_path / "a.csv", "--store", store)
    line = refused("export", tmp_path / "notes/all/records.csv", "--store", store)
    assert "notes is a file" in line
    assert "name another place" in line


SCORES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nothing": ((), ("either a folder of images, or --predictions DIR",)),
    "both kinds": (("made", "--predictions", "maps"), ("either a folder of images, or --predictions DIR",)),
    "a folder that is missing": (("no-such",), ("no-such does not exist",)),
    "maps that are missing": (("--predictions", "no-such"), ("no-such does not exist",)),
    "into an unknown format": ((".", "--out", "scores.doc"), ("scores.doc", ".json")),
    "by unknown features": ((".", "--features", "canonic"), ("did you mean 'canonical'?",)),
    "with a weights folder that is missing": ((".", "--weights", "no-such"), ("weights folder no-such",)),
    "on an unknown split": ((".", "--split", "first"), ("unknown split 'first'", "first-third")),
    "an empty folder": ((".",), ("no images in it", "<category>/<defect>/image and mask")),
    "an empty folder of maps": (("--predictions", "."), ("no maps, no scores.csv and no classes.csv",)),
}


@pytest.mark.parametrize(("words", "says"), SCORES.values(), ids=SCORES)
def test_what_cannot_be_scored_is_refused_before_any_task_runs(
    words: tuple[str, ...],
    says: tuple[str, ...],
    refused: Callable[..., str],
    sound: Path,
    store: Path,
    done_tasks: Callable[[], list[str]],
) -> None:
    line = refused("score", *words, "--against", sound, "--store", store)
    for part in says:
        assert part in line
    assert not done_tasks()


def test_samples_are_extracted_into_a_new_folder_only(
    refused: Callable[..., str], store: Path, sound: Path
) -> None:
    line = refused("samples", "extract", sound, "--generator", "perlin", "--store", store)
    assert f"{sound} is there already" in line
    assert "name a new one" in line


def test_a_sample_data_set_that_cannot_be_is_refused(refused: Callable[..., str], sound: Path) -> None:
    assert "size is 8; give 32 to 2048" in refused("data", "make-sample", "out", "--size", "8")
    assert "'washr'; choose from" in refused("data", "make-sample", "out", "--categories", "washr")
    assert "other parameters" in refused("data", "make-sample", sound, "--size", "32")


def test_an_unknown_name_to_show_is_told_with_the_nearest(refused: Callable[..., str]) -> None:
    assert "'bisenet'; did you mean 'bisenet_v2'?" in refused("show", "bisenet")
