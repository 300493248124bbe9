"""A merge takes, task by task, what is whole and of the right types, and marks where it is from."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import api
from bench.planning.request import RunRequest, prepare_request
from bench.store import open_store
from bench.store.origin import uuid_of
from bench.tasks import digest, key_of

Bench = Callable[..., Any]


@pytest.fixture
def theirs(written_store: Callable[..., Path], tmp_path: Path) -> Path:
    """A store of another machine, with scores of one generator on two categories."""
    return written_store(tmp_path / "theirs", {"perlin": (0.25, 0.5)})


def scores(root: Path) -> list[Path]:
    return sorted(rows.parents[1] for rows in root.glob("tasks/*/*/out/records.jsonl"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:40])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda task: pipe(task / "manifest.json"), "manifest.json cannot be read"),
        (lambda task: pipe(task / "out" / "more"), "out/more is not a regular file"),
        (lambda task: cut(task / "manifest.json"), "manifest.json cannot be read"),
        (lambda task: edit(task / "manifest.json", files=[1]), "'files' is not a list of paths"),
        (lambda task: edit(task / "manifest.json", inputs={"a": 1}), "'inputs' is not a list of keys"),
        (lambda task: edit(task / "manifest.json", seconds="abc"), "'seconds' is 'abc'"),
        (lambda task: edit(task / "manifest.json", seconds=float("nan")), "'seconds' is nan"),
        (lambda task: edit(task / "manifest.json", peak_memory=1e308), "'peak_memory' is 1e+308"),
        (lambda task: edit(task / "manifest.json", extra=1), "'extra' is not a field of a manifest"),
        (lambda task: cut(task / "task.json"), "its definition cannot be read"),
    ],
    ids=("pipe manifest", "pipe", "half", "files", "inputs", "text", "nan", "huge", "extra", "definition"),
)
def test_one_bad_task_stays_there_and_the_rest_is_taken(
    spoil: Callable[[Path], None], says: str, bench: Bench, theirs: Path, store: Path
) -> None:
    bad, good = scores(theirs)
    spoil(bad)
    result = bench("merge", theirs, "--store", store)
    assert result.code == 1
    assert f"{bad.name}: damaged there (" in result.out
    assert says in result.out
    assert [task.name for task in scores(store)] == [good.name]
    assert bench("report", "--store", store, "--out", store / "site").code in (0, 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"value": "0.9"}, "'value' is '0.9'"),
        ({"n": 1.5}, "'n' is 1.5"),
        ({"note": ["a"]}, "'note' is ['a']"),
        ({"category": "tile?"}, "its category is not that of its task"),
        ({"metric": "luck"}, "luck"),
    ],
)
def test_records_of_wrong_types_or_of_another_cell_stay_there(
    changes: dict[str, Any],
    says: str,
    bench: Bench,
    theirs: Path,
    store: Path,
    match_manifest: Callable[..., None],
) -> None:
    bad, good = scores(theirs)
    edit(bad / "out" / "records.jsonl", **changes)
    match_manifest(bad)
    result = bench("merge", theirs, "--store", store)
    assert f"{bad.name}: damaged there (records.jsonl: " in result.out
    assert says in result.out
    assert [task.name for task in scores(store)] == [good.name]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda plan: plan["goals"].append("f" * 32), "cannot be read"),
        (lambda plan: plan["about"]["provenance"].update(command="bench run 'x"), "not a line of a shell"),
        (lambda plan: plan["about"].update(warnings=None), "'warnings' is missing or of the wrong type"),
        (lambda plan: next(iter(plan["nodes"].values())).__setitem__(3, {"seed": "a"}), "'seed' is 'a'"),
    ],
    ids=("goal without a node", "open quote", "type", "labels"),
)
def test_a_plan_that_would_break_reports_stays_there(
    spoil: Callable[[dict[str, Any]], None], says: str, bench: Bench, theirs: Path, store: Path
) -> None:
    (path,) = (theirs / "runs").glob("*.plan")
    plan = json.loads(path.read_text())
    spoil(plan)
    path.unlink()
    (theirs / "runs" / f"{digest(plan)[:32]}.plan").write_text(json.dumps(plan))
    result = bench("merge", theirs, "--store", store)
    assert result.code == 1
    assert says in result.out
    assert not list((store / "runs").glob("*.plan"))
    assert len(scores(store)) == 2


def test_what_another_machine_remembers_of_its_data_is_not_taken(
    bench: Bench, theirs: Path, store: Path
) -> None:
    for name in ("digests.json", "part-0.json", "check-0-64.json", "ingested-generator-a.json"):
        (theirs / "sources" / name).write_text("{}")
    (theirs / "env" / "0123456789abcdef.json").write_text('{"cpu": "forged"}')
    result = bench("merge", theirs, "--store", store)
    assert "env/0123456789abcdef.json: not taken" in result.out
    assert list((store / "sources").iterdir()) == list((store / "env").iterdir()) == []


def test_each_row_says_which_store_it_was_merged_from(
    bench: Bench, written_store: Callable[..., Path], theirs: Path, store: Path, tmp_path: Path
) -> None:
    written_store(store, {"none": (0.1, 0.2)})
    assert bench("merge", theirs, "--store", store).code == 0
    rows = api.load(store).set_index("generator")
    uuid = uuid_of(open_store(theirs))
    assert set(rows.loc["perlin", "origin"]) == {uuid}
    assert set(rows.loc["perlin", "note"]) == {f"merged from store {uuid}"}
    assert set(rows.loc["none", "origin"]) == {""}
    assert bench("report", "--store", store, "--out", tmp_path / "site").code == 0
    assert any(uuid in page.read_text() for page in (tmp_path / "site").rglob("*.html"))


@pytest.mark.parametrize("honest", [True, False])
def test_a_pool_of_real_data_is_taken_only_if_the_data_here_gives_it(
    honest: bool, bench: Bench, sound: Path, store: Path, tmp_path: Path
) -> None:
    request = RunRequest("mvtec_supervised", data=sound, scale="smoke", categories=("washer",))
    mine, other = open_store(store, create=True), open_store(tmp_path / "other", create=True)
    for opened in (mine, other):
        config = prepare_request(request, opened, lambda what: lambda *counts: None).config
    category = config.splits[config.seeds[0]].categories[0]
    from bench.runner.execute import run_stage
    from bench.runner.jobs import Job
    from bench.stages.data import DataCache

    task = DataCache.task(config, category.name, "test", category.test)
    assert key_of(task.definition) == task.key
    with other.writing(task.key) as aside:
        job = Job(task.key, task.definition, str(other.root), run="r", env="e", commit="")
        run_stage(job, other, aside / "out", lambda *progress: None)
        if not honest:
            np.load(aside / "out" / "masks.npy", mmap_mode="r+")[:] = True
        other.publish(aside, task.definition)
    result = bench("merge", other.root, "--store", store)
    assert mine.done(task.key) is honest
    assert ("it is not what the data of this machine gives" in result.out) is not honest
