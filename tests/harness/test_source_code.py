"""The source that ran stands in the environment of a record, and source that changed since is reported."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.planning.request import RunRequest
from bench.runner.session import prepare_session
from bench.store import Store
from bench.store.environment import environment, store_environment
from bench.store.source_code import _digest, changed_source, source_digests, source_of
from bench.tasks import Task

FIT = Task("detector.fit", 1, {"category": "washer"}, adapter="unet@1")
SAMPLE = Task("generator.sample", 1, {"category": "washer"}, adapter="seas@1")


@pytest.fixture
def publish(store: Store) -> Callable[..., None]:
    """Publishes a task as source with these digests would have made it."""

    def make(task: Task, **changed: str) -> None:
        env = store_environment(store, {**source_digests(), **changed})
        with store.writing(task.key) as aside:
            (aside / "out").mkdir(exist_ok=True)
            store.publish(aside, task.definition, env=env)

    return make


def test_the_environment_of_a_record_has_the_digest_of_every_package(store: Store) -> None:
    name = store_environment(store, source_of(store))
    facts = json.loads((store.root / "env" / f"{name}.json").read_text())
    assert facts["source"] == dict(source_digests())
    assert set(facts["source"]) == {"bench", "generators", "detectors", "protocols", "reports"}
    assert store_environment(store, {**source_digests(), "detectors": "other"}) != name


def test_a_digest_is_of_the_python_files_and_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    first = _digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert _digest(tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2")
    second = _digest(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, second, _digest(tmp_path)}) == 3


def test_a_file_that_changes_makes_the_digests_be_taken_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for package in source_digests():
        (home / package).mkdir(parents=True)
        (home / package / "__init__.py").write_text("")
    monkeypatch.setattr("bench.store.source_code.HOME", home)
    source_digests.cache_clear()
    before = source_of(store)
    (home / "detectors" / "unet.py").write_text("epochs = 3")
    source_digests.cache_clear()  # another process
    after = source_of(store)
    source_digests.cache_clear()
    assert [name for name in before if before[name] != after[name]] == ["detectors"]


def test_source_that_changed_under_one_version_is_reported(
    store: Store, publish: Callable[..., None]
) -> None:
    publish(SAMPLE)
    publish(FIT, detectors="other", reports="other")
    sentence = changed_source(store, [SAMPLE, FIT])
    assert sentence.startswith("note: the source of detectors changed since a task of this run was made")
    assert FIT.title in sentence


@pytest.mark.parametrize(
    ("task", "changed"), [(SAMPLE, {"detectors": "other"}), (FIT, {"reports": "other"}), (FIT, {})]
)
def test_what_a_task_does_not_run_may_change(
    store: Store, publish: Callable[..., None], task: Task, changed: dict[str, str]
) -> None:
    publish(task, **changed)
    assert changed_source(store, [task]) == ""


def test_another_version_may_have_other_source(
    store: Store, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(FIT, detectors="other")
    facts = environment()
    newer = {**facts, "packages": {**facts["packages"], "defectbench": "9.9"}}
    monkeypatch.setattr("bench.store.source_code.environment", lambda: newer)
    assert changed_source(store, [FIT]) == ""


def test_files_that_are_damaged_say_nothing_of_source(store: Store, publish: Callable[..., None]) -> None:
    publish(SAMPLE, generators="other")
    publish(FIT, detectors="other")
    (store.folder(FIT.key) / "manifest.json").write_text("7")
    os.mkfifo(store.root / "env" / "0123456789abcdef.json")
    (store.root / "runs" / "source").unlink(missing_ok=True)
    (store.root / "runs" / "source").mkdir()
    assert SAMPLE.title in changed_source(store, [SAMPLE, FIT])


def test_a_run_reports_it_before_any_work(store: Store, tiny_data: Path, planned: Any) -> None:
    _, goals = planned(store)
    first = next(iter(goals[0].inputs))[1]
    env = store_environment(store, {**source_digests(), "bench": "other"})
    with store.writing(first.key) as aside:
        (aside / "out").mkdir(exist_ok=True)
        store.publish(aside, first.definition, env=env)
    request = RunRequest(
        "mvtec_supervised", data=tiny_data, scale="smoke", generators=("crop_paste",), detectors=("unet",)
    )
    lines: list[str] = []
    prepare_session(replace(request), store.root, lines.append, lambda what: lambda *counts: None)
    assert any("the source of bench changed since a task of this run was made" in line for line in lines)
