"""What a store may forget: payloads that every goal that rests on them has outlived.

Records are kept, and so are definitions, logs and what each task cost: a task that is dropped keeps
`dropped.json` in place of its manifest, is not done any more, and is made again if a later goal needs it.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from bench.errors import BenchError
from bench.planning.plan import Plan
from bench.stages import STAGES, stage_class
from bench.stages.stage import PayloadKind
from bench.store.leases import Leases
from bench.store.store import Store

KINDS: tuple[str, ...] = tuple(kind for kind in get_args(PayloadKind) if kind)
"""The payloads that may go. Scores and what was ingested are of no kind: they are never dropped."""


@dataclass(frozen=True)
class Garbage:
    """One task whose payload may go."""

    key: str
    stage: str
    bytes: int


def garbage(store: Store, plans: Sequence[Plan], kinds: Iterable[str]) -> list[Garbage]:
    """The done tasks of these kinds that no goal still to be made rests on, by any plan of the store.

    A task that is in no plan is garbage too; one that is being made is not.
    """
    stages = {name for name in STAGES if stage_class(name).payload in set(kinds)}
    needed = _needed(store, plans)
    leases = Leases(store.root, "gc")
    payloads = []
    for key in store.keys():  # noqa: SIM118 - a store is not a dict
        if key in needed or leases.live(key):
            continue
        with suppress(BenchError):  # what is damaged is for `bench verify`
            stage = store.definition(key)["stage"]
            if stage in stages:
                payloads.append(Garbage(key, stage, store.manifest(key).bytes))
    return payloads


def _needed(store: Store, plans: Sequence[Plan]) -> set[str]:
    """Inputs of every task that is still to be made for some goal."""
    needed: set[str] = set()
    visited: set[str] = set()
    damaged = store.damaged()
    for plan in plans:
        stack = [goal for goal in plan.goals if not store.done(goal)]
        stack += [key for key in damaged if key in plan.nodes]  # made again also for goals that are done
        while stack:
            key = stack.pop()
            if key in visited:
                continue
            visited.add(key)
            for _, used in plan.nodes[key].inputs:
                needed.add(used)
                if not store.done(used):
                    stack.append(used)
    return needed
