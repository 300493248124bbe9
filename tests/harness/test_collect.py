"""From a plan and a store to results, whatever part of the plan is done."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.planning.plan import Plan, make_plan
from bench.record.record import PROVENANCE, Record, write_records
from bench.results.collect import collect, records, why_missing
from bench.store import Store, open_store
from bench.tasks import Task, closure

Planned = Callable[..., tuple[Plan, list[Task]]]
Publish = Callable[..., Any]


@pytest.fixture
def asked() -> dict[str, Any]:
    return {"generators": ("perlin",), "detectors": ("unet", "resnet34")}


def of_stage(goals: list[Task], stage: str) -> list[Task]:
    return [task for task in closure(goals).values() if task.stage == stage]


def make(store: Store, goals: list[Task], publish: Publish, tmp_path: Path, **facts: Any) -> None:
    """Publish these goals and what they rest on; a score says 0.5 for pixel AUROC."""
    for task in closure(goals).values():
        files = {"index.json": "[]"}
        if task.stage.startswith("score."):
            row = Record(**task.params["labels"], level="pixel", metric="auroc", value=0.5)
            write_records(tmp_path / "rows", [row])
            files = {"records.jsonl": (tmp_path / "rows").read_text()}
        told = {"seconds": 2.0, "run": "the run", "env": "e", "commit": "c", "peak_memory": 9, **facts}
        publish(store, task, files, **told)


def test_of_a_plan_that_never_ran_only_what_cannot_be_has_a_record(
    store: Store, planned: Planned, asked: dict[str, Any]
) -> None:
    plan, goals = planned(store, **asked)
    found = collect(plan, store)
    assert {record.status for record in found.records} == {"skipped"}
    assert {why_missing(plan, store)(goal.key) for goal in goals} == {""}
    assert (found.galleries, found.maps, found.traces) == ((), (), ())
    assert found.dataset == "tiny"


def test_a_measured_value_carries_the_provenance_of_its_task(
    store: Store, planned: Planned, asked: dict[str, Any], publish: Publish, tmp_path: Path
) -> None:
    plan, goals = planned(store, **asked)
    score = of_stage(goals, "score.detection")[0]
    make(store, [score], publish, tmp_path)
    (value,) = [
        record for record in records(plan, store) if record.status == "ok" and record.level == "pixel"
    ]
    assert (value.task, value.run, value.env, value.commit) == (score.key, "the run", "e", "c")
    assert (value.seconds, value.peak_memory, value.value) == (2.0, 9, 0.5)
    assert (value.detector, value.mix, value.category) == ("unet", "real", "washer")


def test_two_stores_agree_on_all_but_cost_and_provenance(
    store: Store, planned: Planned, asked: dict[str, Any], publish: Publish, tmp_path: Path
) -> None:
    other = open_store(tmp_path / "other", create=True)
    told = []
    for each, facts in ((store, {}), (other, {"run": "another", "seconds": 7.0, "env": "f"})):
        plan, goals = planned(each, **asked)
        make(each, of_stage(goals, "score.detection"), publish, tmp_path, **facts)
        found = [record for record in records(plan, each) if record.level != "cost"]
        told.append([replace(record, **dict.fromkeys(PROVENANCE)) for record in found])
        assert sum(record.status == "ok" for record in found) == 3
    assert told[0] == told[1]


def test_what_fitting_and_predicting_cost_is_told_once_a_task(
    store: Store, planned: Planned, asked: dict[str, Any], publish: Publish, tmp_path: Path
) -> None:
    plan, goals = planned(store, **asked)
    make(
        store, [*of_stage(goals, "score.detection"), *of_stage(goals, "score.generation")], publish, tmp_path
    )
    costs = [record for record in records(plan, store) if record.level == "cost"]
    told = [(record.metric, record.task) for record in costs]
    assert len(set(told)) == len(told)
    assert sum(metric == "detector.fit seconds" for metric, _ in told) == 3
    assert sum(metric == "generator.fit seconds" for metric, _ in told) == 1
    assert sum(metric == "generator.sample peak memory" for metric, _ in told) == 1
    assert {record.direction for record in costs} == {"lower"}
    drawn = [record.n for record in costs if record.metric == "generator.sample seconds"]
    assert drawn == [16]  # images; a fit counts as one
    assert {record.n for record in costs if record.metric.startswith("detector.fit")} == {1}


def test_a_skipped_cell_says_why_for_each_of_its_metrics(
    store: Store, planned: Planned, asked: dict[str, Any]
) -> None:
    plan, _ = planned(store, **asked)
    found = [record for record in records(plan, store) if record.status == "skipped"]
    assert len(found) == sum(len(cell.metrics) for cell in plan.skipped) > 0
    assert {record.note for record in found} == {cell.reason for cell in plan.skipped}
    assert all(record.value is None for record in found)


def test_a_goal_whose_input_failed_says_which_and_why(
    store: Store, planned: Planned, asked: dict[str, Any]
) -> None:
    plan, goals = planned(store, **asked)
    fit = next(task for task in of_stage(goals, "detector.fit") if task.adapter.startswith("unet@"))
    store.record_failure(fit.key, {"error": "MemoryError: too large"})
    rests_on_it = {goal.key for goal in goals if fit.key in closure([goal])}
    assert len(rests_on_it) == 1
    for goal in goals:
        told = why_missing(plan, store)(goal.key)
        assert told == (f"{fit.title}: MemoryError: too large" if goal.key in rests_on_it else "")
    failed = [record for record in records(plan, store) if "MemoryError" in record.note]
    assert {record.metric for record in failed} == {
        "auroc",
        "ap",
        "f1_max",
        "iou",
        "aupro",
        "recall_at_tnr95",
    }
    assert all((record.status, record.mix) == ("failed", "real") for record in failed)


def test_a_goal_that_failed_itself_tells_its_own_reason(
    store: Store, planned: Planned, asked: dict[str, Any]
) -> None:
    plan, goals = planned(store, **asked)
    store.record_failure(goals[-1].key, {"error": "the disk ate it"})
    assert why_missing(plan, store)(goals[-1].key) == "the disk ate it"


def test_a_failure_of_an_input_that_is_done_since_is_no_reason(
    store: Store, planned: Planned, asked: dict[str, Any], publish: Publish
) -> None:
    plan, goals = planned(store, **asked)
    (base,) = [task for task in of_stage(goals, "data.cache") if task.params["part"] == "base"]
    publish(store, base)
    store.record_failure(base.key, {"error": "of another host, earlier"})
    assert {why_missing(plan, store)(goal.key) for goal in goals} == {""}


def test_dialects_of_a_plan_of_an_older_version_are_still_read(
    store: Store, planned: Planned, asked: dict[str, Any], publish: Publish, tmp_path: Path
) -> None:
    plan, goals = planned(store, **asked)
    labels = of_stage(goals, "score.detection")[0].params["labels"]
    older = Task("score.dialects", 2, {"labels": labels})
    row = Record(**labels, level="pixel", metric="ap", dialect="truncate", value=0.5)
    write_records(tmp_path / "rows", [row])
    curves = '{"pixel": {"roc": [[0, 0], [1, 1]], "pr": [[0, 1]]}}'
    files = {"records.jsonl": (tmp_path / "rows").read_text(), "curves.json": curves}
    publish(store, older, files, seconds=1.0, run="r", env="e", commit="c", peak_memory=9)
    results = collect(make_plan([older], plan.about)[0], store)
    assert [(record.dialect, record.value) for record in results.dialects] == [("truncate", 0.5)]
    assert [len(curve.points["pixel"]["roc"]) for curve in results.curves] == [2]
    assert results.records == ()
