"""The one concept: a task, identified by everything that may change what it makes."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.record.labels import titled

SCHEMA = 1
"""Raised when the meaning of a task's definition changes; part of every key."""


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no spaces, ASCII, no NaN."""
    return _ENCODER.encode(value)


KEY_LENGTH = 32
"""Hexadecimal digits of a task's key."""


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of a value, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True)
class Resources:
    """What a task asks of a machine. Not part of its key."""

    gpu: bool = False
    """Whether the task runs on a GPU where there is one."""


@dataclass(frozen=True, eq=False)
class Task:
    """A node of the Merkle DAG: its key covers its definition and, through the keys of its inputs, theirs.

    `params` is plain JSON with all defaults filled in; `inputs` are (role, task) pairs, where a role such as
    "normal/bottle" tells the stage what the input is. Device, executor, paths, hosts and time are not here.
    """

    stage: str
    version: int
    params: Mapping[str, Any]
    inputs: tuple[tuple[str, "Task"], ...] = ()
    adapter: str = ""
    """"name@version", with "#digest" of its source for a plug-in file; "" for the harness's own stages."""
    seed: int = 0
    resources: Resources = field(default_factory=Resources)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What the key is the digest of, as plain JSON."""
        return {
            "schema": SCHEMA,
            "stage": self.stage,
            "version": self.version,
            "adapter": self.adapter,
            "params": dict(self.params),
            "seed": self.seed,
            "inputs": [[role, task.key] for role, task in self.inputs],
        }

    @cached_property
    def key(self) -> str:
        """32 hex digits."""
        return key_of(self.definition)

    @property
    def title(self) -> str:
        """A short name for people."""
        facts = [self.params.get(name) for name in ("category", "part", "defect")]
        labels = self.params.get("labels") or {}
        methods = (
            titled(labels.get(kind, ""), labels.get(f"{kind}_variant", ""))
            for kind in ("detector", "generator")
        )
        row = (*methods, self.params.get("mix") or labels.get("mix"))
        names = (self.adapter.partition("#")[0], *facts, *row)
        texts = [str(name) for name in names if name and name != "none"]
        return " ".join([self.stage, *dict.fromkeys(texts), f"seed {labels.get('seed', self.seed)}"])


def key_of(definition: Mapping[str, Any]) -> str:
    """The key of a task from its definition."""
    return digest(definition)[:KEY_LENGTH]


def closure(goals: Iterable[Task]) -> dict[str, Task]:
    """Every task that the goals rest on, and the goals, by key, inputs before what uses them."""
    tasks: dict[str, Task] = {}
    stack = [(goal, False) for goal in reversed(list(goals))]
    while stack:
        task, inputs_done = stack.pop()
        if task.key in tasks:
            continue
        if inputs_done:
            tasks[task.key] = task
        else:
            stack.append((task, True))
            stack.extend((task_in, False) for _, task_in in reversed(task.inputs) if task_in.key not in tasks)
    return tasks
