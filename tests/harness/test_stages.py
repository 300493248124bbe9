"""The inputs of a stage: fields whose names are the roles in a key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from bench.methods import Prediction
from bench.stages import STAGES, stage_class
from bench.stages.detector import _as_float32, _checked_size
from bench.stages.stage import BY_NAME, SEVERAL_BY_NAME, Stage, T
from bench.tasks import Task


@dataclass(frozen=True)
class Bake(Stage[T]):
    name, version = "kitchen.bake", 3
    gpu = True
    dough: T
    fresh_herbs: Mapping[str, T] = field(metadata=BY_NAME)
    layers: Mapping[str, tuple[T, ...]] = field(metadata=SEVERAL_BY_NAME)
    sauce: T | None = None


PAIRS = [
    ("dough", "a"),
    ("fresh-herbs/basil", "b"),
    ("fresh-herbs/thyme", "c"),
    ("layers/cheese", "d"),
    ("layers/cheese", "e"),
]


def test_inputs_are_fields_and_fields_are_roles() -> None:
    bake = Bake.of(PAIRS)
    assert bake == Bake("a", {"basil": "b", "thyme": "c"}, {"cheese": ("d", "e")})
    assert list(bake.inputs()) == PAIRS


@pytest.mark.parametrize("role", ["suace", "fresh-herbs", "dough/rye"])
def test_an_unknown_role_is_refused(role: str) -> None:
    with pytest.raises(TypeError, match=f"kitchen.bake takes no input '{role}'"):
        Bake.of([*PAIRS, (role, "f")])


def test_a_missing_input_is_refused() -> None:
    with pytest.raises(TypeError, match="dough"):
        Bake.of(PAIRS[1:])


def test_a_plan_of_another_version_is_read_as_far_as_it_goes() -> None:
    old = Bake.of_plan([("yeast", "y"), ("fresh-herbs/basil", "b")])
    assert (old.sauce, old.fresh_herbs, old.layers) == (None, {"basil": "b"}, {})
    with pytest.raises(AttributeError, match="dough"):
        _ = old.dough


def test_a_task_has_the_name_the_version_and_the_inputs_of_its_stage() -> None:
    dough = Task("kitchen.knead", 1, {})
    task = Bake(dough, {"basil": dough}, {}).to_task({"minutes": 20}, adapter="oven@1", seed=2)
    assert (task.stage, task.version, task.adapter, task.seed) == ("kitchen.bake", 3, "oven@1", 2)
    assert task.inputs == (("dough", dough), ("fresh-herbs/basil", dough))
    assert task.resources.gpu


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_registered_under_its_name(name: str) -> None:
    assert stage_class(name).name == name


def test_what_a_plug_in_predicts_in_another_precision_is_float32() -> None:
    half = torch.tensor([[[0.5, 2.0], [1.0, 0.25]]], dtype=torch.bfloat16)
    prediction = _as_float32(Prediction(np.array([1.5]), half))
    assert prediction.score is not None
    assert prediction.amap is not None
    assert (prediction.score.dtype, prediction.amap.dtype, prediction.logits) == (
        np.float32,
        np.float32,
        None,
    )
    assert prediction.amap.tolist() == [[[0.5, 2.0], [1.0, 0.25]]]


def test_what_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(RuntimeError, match="not finite"):
        _checked_size(_as_float32(Prediction(np.array([1e39]))), 2, "mine")
