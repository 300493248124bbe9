from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.planning.request import Prepared
from bench.store import Store
from bench.tasks import Resources, Task, canonical_json, closure

POOL = {"category": "washer", "part": "base", "content": "c" * 64, "counts": {"dent": 2}, "resolution": 64}
FIT = {"params": {"scale": 0.5}, "category": "washer", "defect": "", "resolution": 64}


def cache(**params: Any) -> Task:
    return Task("data.cache", 1, {**POOL, **params})


def fit(**changes: Any) -> Task:
    task = Task("generator.fit", 1, FIT, (("base/washer", cache()),), "crop_paste@1", 3)
    return replace(task, **changes)


def test_the_key_of_a_fixed_definition_never_changes() -> None:
    assert cache().key == "dcc937ebc2750215da13e697ab229b99"
    assert fit().key == "b814392247b2ab29cfd0a773541ba7a5"


@pytest.mark.parametrize(
    "changed",
    [
        fit(stage="generator.sample"),
        fit(version=2),
        fit(params={**FIT, "params": {"scale": 0.25}}),
        fit(params={**FIT, "params": {"scale": 0.5, "more": None}}),
        fit(inputs=()),
        fit(inputs=(("normal/washer", cache()),)),
        fit(inputs=(("base/washer", cache(content="d" * 64)),)),
        fit(inputs=(("base/washer", cache()), ("base/washer", cache()))),
        fit(adapter="crop_paste@2"),
        fit(adapter="crop_paste@1#0123456789abcdef"),
        fit(seed=4),
    ],
    ids=lambda task: task.title,
)
def test_every_part_of_a_definition_changes_the_key(changed: Task) -> None:
    assert changed.key != fit().key


def test_the_order_of_the_inputs_is_part_of_the_key() -> None:
    one, other = ("a", cache()), ("b", cache(part="test"))
    assert fit(inputs=(one, other)).key != fit(inputs=(other, one)).key


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), min_size=2), st.randoms())
def test_the_order_of_parameters_does_not_change_the_key(params: dict[str, Any], shuffler: Any) -> None:
    names = list(params)
    shuffler.shuffle(names)
    assert fit(params=params).key == fit(params={name: params[name] for name in names}).key


def test_resources_do_not_change_the_key() -> None:
    assert fit(resources=Resources(gpu=True)).key == fit().key


def test_keys_hold_neither_the_place_of_the_data_nor_the_machine(
    store: Store, tmp_path: Path, prepare: Callable[..., Prepared]
) -> None:
    prepared = prepare(store)
    tasks = closure(item for item in prepared.planned() if isinstance(item, Task))
    text = canonical_json([task.definition for task in tasks.values()])
    for absent in (str(tmp_path), str(prepared.data.dataset.root), "cuda", "cpu"):
        assert absent not in text


def test_numbers_that_json_has_no_word_for_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        _ = fit(params={"rate": float("nan")}).key


def test_one_and_true_and_a_float_are_different_parameters() -> None:
    assert len({fit(params={"x": value}).key for value in (1, True, 1.0, "1")}) == 4


@st.composite
def graphs(draw: Any) -> list[Task]:
    """Tasks of which each may use any that came before."""
    tasks: list[Task] = []
    for number in range(draw(st.integers(1, 12))):
        used = draw(st.lists(st.sampled_from(tasks), max_size=4)) if tasks else []
        inputs = tuple((f"in/{position}", task) for position, task in enumerate(used))
        tasks.append(Task("stage", 1, {"number": number}, inputs))
    return tasks


@given(graphs(), st.data())
@settings(max_examples=60)
def test_the_closure_holds_each_task_once_after_its_inputs(tasks: list[Task], data: Any) -> None:
    goals = data.draw(st.lists(st.sampled_from(tasks), max_size=4))
    found = closure(goals)
    seen: set[str] = set()
    for key, task in found.items():
        assert key == task.key
        assert {used.key for _, used in task.inputs} <= seen
        seen.add(key)

    def reached(task: Task) -> set[str]:
        return {task.key}.union(*(reached(used) for _, used in task.inputs))

    assert seen == set().union(*(reached(goal) for goal in goals))


def test_what_two_goals_share_is_one_task() -> None:
    shared = cache()
    goals = [fit(inputs=(("base/washer", cache()),)), fit(inputs=(("base/washer", shared),), seed=5)]
    assert list(closure(goals)) == [shared.key, goals[0].key, goals[1].key]


def test_a_title_names_stage_adapter_category_and_seed_without_digests() -> None:
    task = fit(adapter="mine@2#0123456789abcdef", params={**FIT, "defect": "dent"})
    assert task.title == "generator.fit mine@2 washer dent seed 3"


def test_the_title_of_a_score_names_its_row_once() -> None:
    labels = {"detector": "unet", "generator": "none", "mix": "real"}
    params = {"labels": labels, "category": "washer"}
    assert Task("score.detection", 1, params).title == "score.detection washer unet real seed 0"
