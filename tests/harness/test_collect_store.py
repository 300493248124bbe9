"""What a store knows as a whole: runs that belong together are one, others stand beside each other."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.planning.plan import Plan, save_plan
from bench.record.record import Record, write_records
from bench.results.of_store import collect_store, merged, plans
from bench.store import Store
from bench.tasks import Task, closure
from reports.site.reproduce import narrow

Planned = Callable[..., tuple[Plan, list[Task]]]


@pytest.fixture
def run(store: Store, planned: Planned) -> Callable[..., tuple[Plan, list[Task]]]:
    """Plans and notes that it was run at a time, as `bench run` does, without running anything."""

    def ran(begun: float, **asked: Any) -> tuple[Plan, list[Task]]:
        plan, goals = planned(store, **asked)
        path = save_plan(plan, store.root / "runs")
        journal = {"plan": path.name, "begun": begun, "command": "c"}
        (store.root / "runs" / f"{begun}.json").write_text(json.dumps(journal))
        return plan, goals

    return ran


def publish_scores(store: Store, goals: list[Task], publish: Callable[..., Any], tmp_path: Path) -> None:
    for goal in goals:
        if goal.stage == "score.detection":
            for task in closure([goal]).values():
                row = Record(**task.params.get("labels", {}), level="pixel", metric="auroc", value=0.5)
                write_records(tmp_path / "rows", [row])
                scored = {"records.jsonl": (tmp_path / "rows").read_text()} if task is goal else {}
                publish(store, task, {"index.json": "[]", **scored})


def test_runs_that_differ_in_methods_alone_become_one_leaderboard(
    store: Store, run: Callable[..., Any], publish: Callable[..., Any], tmp_path: Path
) -> None:
    _, first = run(1.0, generators=("perlin",), detectors=("unet",))
    _, second = run(2.0, generators=("perlin",), detectors=("bisenet_v2",))
    publish_scores(store, [*first, *second], publish, tmp_path)
    (results,) = collect_store(store)
    measured = {record.detector for record in results.records if record.level == "pixel" and record.value}
    assert measured == {"unet", "bisenet_v2"}


def test_each_score_names_the_command_that_asked_for_it_last(
    store: Store, run: Callable[..., Any], publish: Callable[..., Any], tmp_path: Path
) -> None:
    _, first = run(1.0, generators=("perlin",), detectors=("unet",))
    run(2.0, generators=("perlin", "crop_paste"), detectors=("unet",))
    (results,) = collect_store(store)
    score = next(goal for goal in first if goal.stage == "score.detection")
    assert "--generators perlin,crop_paste" in results.commands[score.key]


def test_runs_at_other_settings_stand_beside_each_other_in_an_order_that_is_not_of_time(
    store: Store, run: Callable[..., Any]
) -> None:
    asked = {"generators": ("perlin",), "detectors": ("unet",)}
    run(1.0, **asked)
    run(2.0, **asked, settings=("generated_per_type=5",))
    before = [results.provenance["generated per type"] for results in collect_store(store)]
    run(3.0, **asked)
    assert [results.provenance["generated per type"] for results in collect_store(store)] == before
    assert len(set(before)) == 2


def test_of_two_plans_of_one_score_the_newest_that_is_done_is_taken(
    store: Store, run: Callable[..., Any], publish: Callable[..., Any], tmp_path: Path
) -> None:
    old, goals = run(1.0, generators=("perlin",), detectors=("unet",))
    new, _ = run(2.0, generators=("perlin",), detectors=("unet",), settings=("replicates=20",))
    assert [plan.digest for plan in plans(store)] == [new.digest, old.digest]
    publish_scores(store, goals, publish, tmp_path)
    both = merged(plans(store), store)
    scores = [key for key in both.goals if both.nodes[key].stage == "score.detection"]
    assert len(scores) == len([goal for goal in goals if goal.stage == "score.detection"])
    assert all(store.done(key) for key in scores)


def test_a_plan_that_cannot_be_read_does_not_hide_the_others(store: Store, run: Callable[..., Any]) -> None:
    run(1.0, generators=("perlin",), detectors=("unet",))
    (store.root / "runs" / "torn.plan").write_text("{")
    assert len(plans(store)) == 1


def test_a_row_is_made_again_by_its_narrowed_command_as_the_very_same_tasks(
    store: Store, run: Callable[..., Any], planned: Planned
) -> None:
    whole, _ = run(1.0, generators=("perlin", "crop_paste"), detectors=("unet", "bisenet_v2"))
    narrowed, _ = narrow(whole.about["provenance"]["command"], "perlin", "unet")
    words = shlex.split(narrowed)
    asked = {option: (words[words.index(f"--{option}") + 1],) for option in ("generators", "detectors")}
    assert asked == {"generators": ("perlin",), "detectors": ("unet",)}
    again, _ = planned(store, **asked)
    wanted = {
        key
        for key in whole.goals
        if (labels := whole.nodes[key].labels) is not None
        and labels.detector == "unet"
        and labels.generator in ("none", "perlin")
    }
    assert wanted
    assert wanted <= set(again.goals) <= set(whole.goals)


def test_costs_count_the_images_that_a_task_went_through(
    store: Store, run: Callable[..., Any], publish: Callable[..., Any], tmp_path: Path
) -> None:
    _, goals = run(1.0, generators=("perlin",), detectors=("unet",))
    publish_scores(store, goals, publish, tmp_path)
    (results,) = collect_store(store)
    predict = [record for record in results.records if record.metric == "detector.predict seconds"]
    tests = {
        sum(task.params["counts"].values())
        for task in closure(goals).values()
        if task.stage == "data.cache" and task.params["part"] == "test"
    }
    assert {record.n for record in predict} == tests
