"""A plan on disk: which goals a command has, what they rest on, what is skipped and why.

It is what `bench status`, `report` and `export` read: they need neither the data set nor the adapters.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import BenchError
from bench.planning.config import Skipped
from bench.record.labels import CellLabels
from bench.stages import STAGES, stage_class
from bench.stages.stage import Metrics, Stage
from bench.store.notes import write_over
from bench.store.store import read_regular
from bench.tasks import Task, canonical_json, closure, digest

S = TypeVar("S", bound=Stage[str])


@dataclass(frozen=True)
class Node:
    """One task of a plan, as far as reports need it."""

    stage: str
    title: str
    inputs: tuple[tuple[str, str], ...]
    """(role, key) pairs."""
    labels: CellLabels | None
    """What the records of a scoring task have in common; None for other tasks."""

    @property
    def metrics(self) -> Metrics:
        """What a scoring task measures at least; nothing where another version planned it."""
        if self.labels is None or self.stage not in STAGES:
            return ()
        return stage_class(self.stage).metrics(self.labels)


@dataclass(frozen=True)
class Plan:
    """What a command wants, with what a page must say of it."""

    goals: tuple[str, ...]
    nodes: Mapping[str, Node]
    skipped: tuple[Skipped, ...]
    about: Mapping[str, Any]
    """Protocol, scale, data set, command, seeds, features, warnings: plain JSON, equal for equal commands."""

    @cached_property
    def text(self) -> str:
        """The plan as it is stored: canonical JSON."""
        return canonical_json(_as_json(self))

    @cached_property
    def digest(self) -> str:
        """Of `text`: the name of the plan."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]

    def read(self, key: str, *stages: type[S]) -> S | None:
        """A task as that one of these stages which it is of, its inputs by field; None if it is of another.

        `read(key, PoolFeatures[str])` has the key of the pool as `pool`.
        """
        node = self.nodes[key]
        return next((stage.of_plan(node.inputs) for stage in stages if stage.name == node.stage), None)

    def scores(self, *stages: type[S]) -> Iterator[tuple[str, S, CellLabels]]:
        """The goals that are scores of these stages: the key, the inputs and the labels of each."""
        for key in self.goals:
            score, labels = self.read(key, *stages), self.nodes[key].labels
            if score is not None and labels is not None:
                yield key, score, labels


def make_plan(planned: Iterable[Task | Skipped], about: Mapping[str, Any]) -> tuple[Plan, list[Task]]:
    """The plan of what a protocol yields, and its goals as tasks."""
    everything = list(planned)
    goals = list({item.key: item for item in everything if isinstance(item, Task)}.values())
    nodes = {
        key: Node(
            task.stage,
            task.title,
            tuple((role, used.key) for role, used in task.inputs),
            _labels(task.params.get("labels")),
        )
        for key, task in closure(goals).items()
    }
    skipped = tuple(item for item in everything if isinstance(item, Skipped))
    return Plan(tuple(goal.key for goal in goals), nodes, skipped, about), goals


def save_plan(plan: Plan, folder: Path) -> Path:
    """Write the plan under its digest; returns the file."""
    path = folder / f"{plan.digest}.plan"
    try:
        is_written = read_regular(path) == plan.text.encode()
    except OSError:
        is_written = False
    if not is_written:
        write_over(path, plan.text)
    return path


def load_plan(path: Path) -> Plan:
    """Read a plan; BenchError where the file is gone or damaged."""
    try:
        content = json.loads(read_regular(path))
        plan = _from_json(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BenchError(
            f"the plan {path} cannot be read ({type(error).__name__}); `bench run` writes it again"
        ) from None
    if digest(content)[:32] != path.stem:
        raise BenchError(
            f"the plan {path} was changed: its name is not the digest of its content; `bench run` writes it "
            "again"
        )
    return plan


def _from_json(content: Mapping[str, Any]) -> Plan:
    nodes = {
        key: Node(stage, title, tuple((role, used) for role, used in inputs), _labels(labels))
        for key, (stage, title, inputs, labels) in content["nodes"].items()
    }
    skipped = tuple(
        Skipped(CellLabels(**labels), tuple((level, metric) for level, metric in metrics), reason)
        for labels, metrics, reason in content["skipped"]
    )
    plan = Plan(tuple(content["goals"]), nodes, skipped, content["about"])
    inputs = (used for node in nodes.values() for _, used in node.inputs)
    if not set(plan.goals).union(inputs) <= nodes.keys():
        raise ValueError("a goal or an input is of no node")
    return plan


def _labels(labels: Mapping[str, Any] | None) -> CellLabels | None:
    return CellLabels(**labels) if labels else None


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "goals": list(plan.goals),
        "nodes": {
            key: [
                node.stage,
                node.title,
                [list(pair) for pair in node.inputs],
                node.labels.to_json() if node.labels else {},
            ]
            for key, node in plan.nodes.items()
        },
        "skipped": [
            [cell.labels.to_json(), [list(pair) for pair in cell.metrics], cell.reason]
            for cell in plan.skipped
        ],
        "about": dict(plan.about),
    }
