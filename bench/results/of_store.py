"""All that a store knows: the plans of every run, those that belong together as one set of results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.planning.config import Skipped
from bench.planning.plan import Node, Plan, load_plan
from bench.record.labels import SCORE, CellLabels
from bench.results.collect import collect
from bench.results.run import Results
from bench.runner.journal import planned
from bench.stages.ingest import DetectorMaps
from bench.store import Store
from bench.tasks import canonical_json

_TOGETHER = (
    "data fingerprint",
    "split",
    "shots",
    "resolution",
    "generated per type",
    "checkpoint",
    "features",
)
"""What two runs of a protocol must share, beside scale and data set, to be one leaderboard."""
_TRAINING = ("mix", "scope", "selection", "generated_per_type")
"""What `bench ingest` and `bench score` are told of the training of a detector."""


def collect_store(store: Store) -> tuple[Results, ...]:
    """The results of everything that was ever asked of a store, one for each protocol, data set and setting.

    Runs that differ in methods, categories or seeds alone are merged; where two planned the same score, the
    newest that has it is taken. The order depends on what the results are, not on when they were made.
    """
    groups: dict[str, list[Plan]] = {}
    for plan in plans(store):
        groups.setdefault(_setting(plan), []).append(plan)
    return tuple(
        replace(collect(merged(members, store), store), commands=_commands(members))
        for _, members in sorted(groups.items())
    )


def plans(store: Store) -> list[Plan]:
    """Every plan in a store, the one that was run last first. Plans that cannot be read are left out."""
    return [plan for path in plan_files(store) if (plan := _readable(path)) is not None]


def every_plan(store: Store) -> list[Plan]:
    """As `plans`. Raises BenchError where one cannot be read: what it needs is not known."""
    readable = []
    for path in plan_files(store):
        plan = _readable(path)
        if plan is None:
            raise BenchError(
                f"the plan {path} cannot be read, so what it needs is not known; run its command again, "
                "or delete the file"
            )
        readable.append(plan)
    return readable


def unreadable_plans(store: Store) -> list[Path]:
    """The plans that `plans` leaves out: no page has what their runs alone asked for."""
    return [path for path in plan_files(store) if _readable(path) is None]


def plan_files(store: Store) -> list[Path]:
    """The file of every plan in a store, the one that was run last first."""
    folder = store.root / "runs"
    last = {name: number for number, name in enumerate(planned(folder))}
    return sorted(folder.glob("*.plan"), key=lambda path: (-last.get(path.name, -1), path.name))


def _readable(path: Path) -> Plan | None:
    try:
        return load_plan(path)
    except BenchError:
        return None  # of an older version, or damaged: `bench run` writes it again


def _setting(plan: Plan) -> str:
    about = plan.about
    shared = {name: about["provenance"].get(name) for name in _TOGETHER}
    names = ("protocol", "protocol_version", "dataset", "scale")
    return canonical_json([[about.get(name) for name in names], shared])


def merged(members: Sequence[Plan], store: Store) -> Plan:
    """One plan of all goals of several, each score once; of itself it says what the first one says."""
    if len(members) == 1:
        return members[0]
    nodes = {key: node for plan in reversed(members) for key, node in plan.nodes.items()}
    goals: dict[str, str] = {}
    for plan in members:
        for key in plan.goals:
            cell = _scored_cell(key, nodes)
            if cell not in goals or (not store.done(goals[cell]) and store.done(key)):
                goals[cell] = key
    stated: dict[str, set[Any]] = {}
    for key in goals.values():
        if (labels := nodes[key].labels) is not None and _made_elsewhere(key, nodes):
            stated.setdefault(labels.detector, set()).add(_training(labels))
    skipped = {
        _skipped_cell(cell): cell
        for plan in members
        for cell in plan.skipped
        if _training(cell.labels) in stated.get(cell.labels.detector, {_training(cell.labels)})
    }
    about = {
        **members[0].about,
        "warnings": _once(note for plan in members for note in plan.about["warnings"]),
    }
    return Plan(tuple(goals.values()), nodes, tuple(skipped.values()), about)


def _scored_cell(key: str, nodes: Mapping[str, Node]) -> str:
    """What a goal is the score of; goals without labels stand for themselves.

    What is stated of the training of a detector elsewhere tells no cells apart: it is a statement about the
    same maps, and the last one counts. Under `bench score` names may meet, so that the maps are in it there.
    """
    node = nodes[key]
    if node.labels is None:
        return key
    facts, maps = node.labels.to_json(), _made_elsewhere(key, nodes)
    if maps:
        facts = {name: value for name, value in facts.items() if name not in _TRAINING}
        facts |= {"maps": maps} if node.labels.protocol == SCORE else {}
    return canonical_json([node.stage, facts])


def _made_elsewhere(key: str, nodes: Mapping[str, Node]) -> str:
    """The key of the ingested predictions that a goal scores; "" for all others."""
    used = dict(nodes[key].inputs).get("prediction", "")
    return used if used in nodes and nodes[used].stage == DetectorMaps.name else ""


def _training(labels: CellLabels) -> tuple[Any, ...]:
    return tuple(getattr(labels, name) for name in _TRAINING)


def _skipped_cell(cell: Skipped) -> str:
    return canonical_json([cell.labels.to_json(), [list(pair) for pair in cell.metrics]])


def _once(notes: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(notes))


def _commands(members: Sequence[Plan]) -> Mapping[str, str]:
    """Goal to the command that asked for it last."""
    commands: dict[str, Any] = {}
    for plan in members:
        command = plan.about["provenance"].get("command", "")
        for key in plan.goals:
            commands.setdefault(key, command)
    return commands
