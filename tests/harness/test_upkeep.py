"""Forgetting payloads, merging stores, and foretelling what a run will cost."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli.upkeep import gc_command, merge_command
from bench.errors import BenchError
from bench.planning.plan import Plan, make_plan
from bench.store import Store, open_store
from bench.store.store import DROPPED
from bench.tasks import Task
from bench.upkeep.forecast import forecast
from bench.upkeep.garbage import garbage
from bench.upkeep.merge import merge

Publish = Callable[..., Any]


def task(stage: str, name: str, *inputs: Task) -> Task:
    return Task(stage, 1, {"name": name}, tuple((f"in{i}", used) for i, used in enumerate(inputs)))


@pytest.fixture
def chain() -> tuple[Task, Task, Task]:
    """A model, its predictions, their score."""
    model = task("detector.fit", "m")
    prediction = task("detector.predict", "p", model)
    return model, prediction, task("score.detection", "s", prediction)


def plan_of(*goals: Task) -> Plan:
    return make_plan(goals, {})[0]


def test_a_model_is_garbage_once_every_goal_that_rests_on_it_is_done(
    store: Store, publish: Publish, chain: tuple[Task, ...]
) -> None:
    model, prediction, score = chain
    publish(store, model, {"model.pt": "x" * 100})
    assert garbage(store, [plan_of(score)], ["models"]) == []
    publish(store, prediction)
    publish(store, score)
    assert [item.key for item in garbage(store, [plan_of(score)], ["models"])] == [model.key]
    other = task("detector.predict", "q", model)
    assert garbage(store, [plan_of(score), plan_of(other)], ["models"]) == []
    assert garbage(store, [plan_of(score)], ["samples"]) == []


def test_what_a_damaged_task_is_made_from_is_kept_though_its_goal_is_done(
    store: Store, publish: Publish, chain: tuple[Task, ...]
) -> None:
    for made in chain:
        publish(store, made)
    model, prediction, score = chain
    store.remove(prediction.key)
    assert [item.key for item in garbage(store, [plan_of(score)], ["models"])] == [model.key]
    store.record_failure(prediction.key, {"error": "damaged", "damaged": True})
    assert garbage(store, [plan_of(score)], ["models"]) == []


def test_nothing_is_dropped_where_a_plan_cannot_be_read(
    store: Store, publish: Publish, chain: tuple[Task, ...]
) -> None:
    publish(store, chain[0], {"model.pt": "x" * 100})
    (store.root / "runs" / "old.plan").write_text('{"goals": ')
    with pytest.raises(BenchError, match=r"old\.plan cannot be read, so what it needs is not known"):
        gc_command(store.root, ("models",), dry_run=False)
    assert store.done(chain[0].key)


def test_nothing_is_dropped_while_a_run_writes_its_plan_nor_the_other_way_round(store: Store) -> None:
    order: list[str] = []

    def write_a_plan() -> None:
        with store.planning():
            order.append("written")

    with store.planning(alone=True):
        writer = threading.Thread(target=write_a_plan)
        writer.start()
        writer.join(0.2)
        order.append("dropped")
    writer.join()
    assert order == ["dropped", "written"]


def test_what_is_dropped_keeps_its_costs_and_small_files_and_is_made_again_when_needed(
    store: Store, publish: Publish, chain: tuple[Task, ...]
) -> None:
    model, _, _ = chain
    publish(store, model, {"model.pt": "x" * 100, "trace.csv": "step\n1\n"}, seconds=7.0)
    assert store.drop(model.key) == 100
    assert store.dropped(model.key)
    assert not store.done(model.key)
    assert store.manifest(model.key).seconds == 7.0
    assert [path.name for path in store.out(model.key).iterdir()] == ["trace.csv"]
    publish(store, model, {"model.pt": "x" * 100})
    assert store.done(model.key)
    assert not store.dropped(model.key)


def test_what_a_killed_gc_left_of_a_payload_is_deleted_by_the_next(
    store: Store, publish: Publish, chain: tuple[Task, ...]
) -> None:
    model, _, _ = chain
    publish(store, model, {"model.pt": "x" * 100, "trace.csv": "step\n1\n"})
    (store.folder(model.key) / "manifest.json").rename(store.folder(model.key) / DROPPED)
    assert store.finish_drops() == 100
    assert [path.name for path in store.out(model.key).iterdir()] == ["trace.csv"]
    assert store.finish_drops() == 0


def test_a_merged_store_has_what_both_had(
    store: Store, tmp_path: Path, publish: Publish, chain: tuple[Task, ...]
) -> None:
    other = open_store(tmp_path / "other", create=True)
    model, prediction, score = chain
    publish(store, model)
    for made in chain:
        publish(other, made)
    other.drop(model.key)
    found = merge(store, other)
    assert found.equal == [model.key]
    assert found.copied == [prediction.key, score.key]
    assert store.manifest(score.key) == other.manifest(score.key)
    again = merge(store, other)
    assert (again.copied, sorted(again.equal)) == ([], sorted(made.key for made in chain))


@pytest.mark.parametrize(
    ("hurt", "told"),
    [
        (lambda out, secret: (out / "model.pt").write_text("flipped"), "model.pt was changed"),
        (lambda out, secret: (out / "more").symlink_to(secret), "out/more is a link"),
        (lambda out, secret: (out / "more").symlink_to(secret.parent), "out/more is a link"),
    ],
    ids=["other bytes", "a link to a file", "a link to a folder"],
)
def test_what_the_other_store_does_not_vouch_for_stays_there(
    hurt: Callable[[Path, Path], Any],
    told: str,
    store: Store,
    tmp_path: Path,
    publish: Publish,
    chain: tuple[Task, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = tmp_path / "home" / "secret"
    secret.parent.mkdir()
    secret.write_text("mine")
    other = open_store(tmp_path / "other", create=True)
    publish(other, chain[0], {"model.pt": "weights"})
    hurt(other.out(chain[0].key), secret)
    (other.root / "sources" / "linked.json").symlink_to(secret)
    assert merge_command(other.root, store.root) == 1
    assert f"{chain[0].key}: damaged there ({told})" in capsys.readouterr().out
    assert list(store.keys()) == []
    assert list((store.root / "sources").iterdir()) == list((store.root / "tmp").iterdir()) == []


def test_a_run_that_begins_during_a_merge_leaves_it_its_folder(
    store: Store, tmp_path: Path, publish: Publish, chain: tuple[Task, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_store(tmp_path / "other", create=True)
    publish(other, chain[0], {"model.pt": "weights"})
    place = store.place

    def meanwhile(aside: Path, key: str) -> bool:
        code = (
            "import sys; from pathlib import Path; from bench.store import Leases, open_store\n"
            f"store = open_store(Path({str(store.root)!r})); leases = Leases(store.root, 'run')\n"
            "store.sweep(leases.live); leases.sweep()"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        return place(aside, key)

    monkeypatch.setattr(store, "place", meanwhile)
    assert merge(store, other).copied == [chain[0].key]
    assert list((store.root / "leases").glob("*.json")) == []


def test_lineages_are_never_mixed(
    store: Store, tmp_path: Path, publish: Publish, chain: tuple[Task, ...]
) -> None:
    other = open_store(tmp_path / "other", create=True)
    model, prediction, score = chain
    publish(store, model, {"model.pt": "bytes of this machine"})
    publish(other, model, {"model.pt": "bytes of another"})
    publish(other, prediction)
    publish(other, score)
    found = merge(store, other)
    assert found.differ == [model.key]
    assert found.unmatched == [prediction.key, score.key]
    assert not store.done(prediction.key)


def test_a_store_is_not_merged_into_itself(store: Store) -> None:
    with pytest.raises(BenchError, match="is the store itself"):
        merge(store, open_store(store.root))


def test_a_forecast_is_the_median_of_like_tasks(store: Store, publish: Publish) -> None:
    for name, seconds in (("a", 2.0), ("b", 4.0), ("c", 100.0)):
        publish(store, task("detector.fit", name), {"model.pt": "x" * 10}, seconds=seconds)
    expected = forecast(store, [task("detector.fit", "d"), task("detector.fit", "e"), task("features", "f")])
    assert (expected.seconds, expected.bytes, expected.measured, expected.unmeasured) == (8.0, 20, 2, 1)


def test_a_dropped_task_is_no_damage(
    store: Store, publish: Publish, chain: tuple[Task, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.cli.verify import verify_command
    from bench.planning.plan import save_plan

    for made in chain:
        publish(store, made, {"big.npy": json.dumps([0] * 50)})
    save_plan(plan_of(chain[2]), store.root / "runs")
    gc_command(store.root, ("models", "predictions"), dry_run=True)
    assert "2 payloads" in capsys.readouterr().out
    gc_command(store.root, ("models", "predictions"), dry_run=False)
    assert [store.dropped(made.key) for made in chain] == [True, True, False]
    assert verify_command(store.root, recompute=False, remove=False) == 0


def test_a_merge_says_what_stayed_apart(
    store: Store,
    tmp_path: Path,
    publish: Publish,
    chain: tuple[Task, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(store, chain[0])
    shutil.copytree(store.root, tmp_path / "copy")
    assert merge_command(tmp_path / "copy", store.root) == 0
    assert "0 tasks taken, 1 were here" in capsys.readouterr().out
    other = open_store(tmp_path / "other", create=True)
    publish(other, chain[0], {"made": "differently"})
    assert merge_command(other.root, store.root) == 1
    assert "different bytes; what is here stays" in capsys.readouterr().out
