"""Nothing that does not match its manifest, or its name, is shown: not in a page, an export, a gate."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import api
from bench.store import Store, open_store
from bench.store.checked import CheckedStore
from bench.store.store import file_sha256
from bench.tasks import digest

TRUE, FORGED = 0.25, 0.99


@pytest.fixture
def scored(written_store: Callable[..., Path], store: Path) -> Path:
    """A store with an accuracy of 0.25 and one of 0.5 for one row."""
    return written_store(store, {"none": (TRUE, 0.5)})


def score_of(root: Path, value: float = TRUE) -> Path:
    """The folder of the scoring task with this accuracy."""
    (rows,) = (
        path
        for path in root.glob("tasks/*/*/out/records.jsonl")
        if json.loads(path.read_text())["value"] == value
    )
    return rows.parents[1]


def forge_value(root: Path) -> Path:
    """Write another accuracy into a record; returns the task's folder."""
    task = score_of(root)
    rows = task / "out" / "records.jsonl"
    rows.write_text(rows.read_text().replace(f'"value": {TRUE}', f'"value": {FORGED}'))
    return task


def test_an_edited_value_is_exported_as_failed_with_its_file(
    bench: Callable[..., Any], scored: Path, tmp_path: Path
) -> None:
    task = forge_value(scored)
    result = bench("export", "--store", scored, tmp_path / "rows.csv")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert f"damaged in the store: {task.name} (records.jsonl was changed)" in result.err
    rows = {row["category"]: row for row in csv.DictReader((tmp_path / "rows.csv").open())}
    assert (rows["bolt"]["status"], rows["bolt"]["value"]) == ("failed", "")
    assert "records.jsonl was changed" in rows["bolt"]["note"]
    assert rows["tile"]["value"] == "0.5"


def test_an_edited_value_is_on_no_page_and_in_no_comparison(
    bench: Callable[..., Any], scored: Path, tmp_path: Path
) -> None:
    forge_value(scored)
    assert bench("report", "--store", scored, "--out", tmp_path / "site").code == 1
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*.html")]
    assert not any("99.0" in page for page in pages)
    assert any("records.jsonl was changed" in page for page in pages)
    result = bench("compare", scored, scored)
    assert result.code == 1
    assert "99.0" not in result.out
    assert set(api.load(scored)["status"]) == {"failed", "ok"}


def test_no_baseline_is_taken_from_an_edited_value(
    bench: Callable[..., Any], scored: Path, tmp_path: Path
) -> None:
    forge_value(scored)
    words = ("gate", "--store", scored, "--baseline", tmp_path / "b.toml", "--update", "--reason", "r")
    result = bench(*words)
    assert result.code == 2
    assert "a baseline is not taken from damaged results" in result.err
    assert not (tmp_path / "b.toml").exists()


@pytest.mark.parametrize("name", ["dialects.jsonl", "curves.json", "replicates/classification.f1.npy"])
def test_a_file_that_was_put_beside_a_record_is_not_read(name: str, scored: Path) -> None:
    task = score_of(scored)
    (task / "out" / name).write_bytes(b"[]")
    (run,) = api.load(scored).query("category == 'bolt'")["note"]
    assert f"{name} was added" in run


def test_edited_replicates_are_found(scored: Path) -> None:
    task = score_of(scored)
    (draws,) = (task / "out" / "replicates").glob("*.npy")
    content = draws.read_bytes()
    draws.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (note,) = api.load(scored).query("category == 'bolt'")["note"]
    assert f"replicates/{draws.name} was changed" in note


def test_edited_costs_and_provenance_are_found(bench: Callable[..., Any], scored: Path) -> None:
    manifest = score_of(scored) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seconds": 0.0', '"seconds": 9.0'))
    result = bench("verify", "--store", scored)
    assert result.code == 1
    assert "its costs or its provenance were changed" in result.out
    assert set(api.load(scored)["status"]) == {"failed", "ok"}


def test_a_manifest_of_an_older_version_is_read_and_said_to_bind_no_costs(
    bench: Callable[..., Any], scored: Path
) -> None:
    for path in scored.glob("tasks/*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        del manifest["provenance"]
        path.write_text(json.dumps(manifest))
    result = bench("verify", "--store", scored)
    assert result.code == 0
    assert "5 tasks of an older version: their costs, environment and commit are not bound" in result.out
    assert set(api.load(scored)["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("field", "value"), [("banner", "none of it is true"), ("scale", "paper"), ("dataset", "mvtec_ad")]
)
def test_an_edited_plan_is_refused_by_its_name(
    field: str, value: str, refused: Callable[..., str], bench: Callable[..., Any], scored: Path
) -> None:
    (path,) = (scored / "runs").glob("*.plan")
    plan = json.loads(path.read_text())
    plan["about"][field] = value
    path.write_text(json.dumps(plan, sort_keys=True))
    assert f"{path} was changed" in refused("export", "--store", scored, "rows.csv")
    assert f"runs/{path.name}: " in bench("verify", "--store", scored).out


@pytest.mark.parametrize("field", ["scale", "dataset", "protocol"])
def test_a_plan_that_says_other_than_its_records_is_refused_under_any_name(
    field: str, refused: Callable[..., str], scored: Path
) -> None:
    (path,) = (scored / "runs").glob("*.plan")
    plan = json.loads(path.read_text())
    plan["about"][field] = "another"
    renamed = path.with_name(f"{digest(plan)[:32]}.plan")
    renamed.write_text(json.dumps(plan, sort_keys=True))
    for journal in (scored / "runs").glob("*.json"):
        journal.write_text(journal.read_text().replace(path.name, renamed.name))
    path.unlink()
    assert f"says that its {field} is 'another'" in refused("export", "--store", scored, "rows.csv")


def test_an_edited_environment_is_not_shown(
    bench: Callable[..., Any], scored: Path, tmp_path: Path, match_manifest: Callable[..., None]
) -> None:
    facts = {"cpu": "mine", "packages": {}}
    name = digest(facts)[:16]
    (scored / "env" / f"{name}.json").write_text(json.dumps({**facts, "cpu": "a supercomputer"}))
    for task in scored.glob("tasks/*/*"):
        match_manifest(task, env=name)
    result = bench("report", "--store", scored, "--out", tmp_path / "site")
    assert result.code == 1
    assert f"env/{name}.json (its content is not the one that its name is the digest of)" in result.err
    assert not any("supercomputer" in path.read_text() for path in (tmp_path / "site").rglob("*.html"))
    assert f"env/{name}.json" in bench("verify", "--store", scored).out


def test_what_was_hashed_is_remembered_until_the_file_changes(
    scored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr("bench.store.integrity.file_sha256", counted)
    monkeypatch.setattr("bench.store.checked._SETTLED_NS", -1)
    api.load(scored)
    assert sorted(set(hashed)) == ["classification.accuracy.npy", "records.jsonl"]
    hashed.clear()
    api.load(scored)
    assert hashed == []
    rows = score_of(scored) / "out" / "records.jsonl"
    times = rows.stat()
    forge_value(scored)
    os.utime(rows, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert set(api.load(scored)["status"]) == {"failed", "ok"}
    shutil.copytree(scored, scored.with_name("copy"), copy_function=shutil.copy2)
    hashed.clear()
    api.load(scored.with_name("copy"))
    assert "records.jsonl" in hashed


def test_a_dropped_task_whose_costs_were_edited_has_none(scored: Path) -> None:
    store = open_store(scored)
    task = score_of(scored)
    Store.drop(store, task.name)
    assert CheckedStore(store).dropped(task.name)
    dropped = task / "dropped.json"
    dropped.write_text(dropped.read_text().replace('"seconds": 0.0', '"seconds": 9.0'))
    assert not CheckedStore(store).dropped(task.name)
