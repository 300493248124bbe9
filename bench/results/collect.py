"""From a plan and a store to what a report is made from."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.errors import BenchError
from bench.planning.banner import banner_of
from bench.planning.plan import Plan
from bench.published import published_records
from bench.record.labels import NONE, CellLabels
from bench.record.record import Record, Status, read_records
from bench.results.costs import costs
from bench.results.curves import curves, traces
from bench.results.pictures import galleries, maps, near_pairs
from bench.results.replicates import Replicates
from bench.results.run import DataNotes, Results
from bench.stages.data import DataDuplicates
from bench.stages.score_detection import ScoreDetection
from bench.store import Store
from bench.store.checked import CheckedStore, checked
from bench.store.origin import has_merged, origin

BEFORE_SCORE_DETECTION_3 = "score.dialects"
"""The stage that scored in dialects before score.detection did; plans of older versions have it."""


def collect(plan: Plan, store: Store) -> Results:
    """The results of a plan as far as the store holds them; what was not run yet has no record."""
    store = checked(store)
    measured, dialects = tuple(records(plan, store)), tuple(_dialects(plan, store))
    _require_stated(plan, measured)
    version = max((record.protocol_version for record in measured), default=0)
    results = Results(
        protocol=plan.about["protocol"],
        scale=plan.about["scale"],
        dataset=plan.about["dataset"],
        records=measured,
        replicates=lambda task: Replicates(store.out(task) / "replicates"),
        provenance={
            **plan.about["provenance"],
            "environments": _environments(plan, store, (*measured, *dialects)),
        },
        banner=banner_of(plan.about["banner"], measured),
        galleries=tuple(galleries(plan, store)),
        near_pairs=tuple(near_pairs(plan, store)),
        maps=tuple(maps(plan, store)),
        traces=tuple(traces(plan, store)),
        curves=tuple(curves(plan, store)),
        dialects=dialects,
        baseline=plan.about.get("baseline", "real"),
        title=plan.about.get("title", ""),
        published=published_records(plan.about["protocol"], version),
        data_notes=DataNotes(
            (*_merged_notes(measured), *plan.about["warnings"]), tuple(_near_duplicates(plan, store))
        ),
    )
    store.remember()
    return replace(results, damaged=store.all_faults)


def records(plan: Plan, store: Store) -> Iterator[Record]:
    """Measured values and failures, then what is skipped, then what it cost.

    What does not match its manifest is no value: its cell has failed, and the reason names the file.
    """
    store = checked(store)
    scores = {key: plan.nodes[key] for key in plan.goals if plan.nodes[key].metrics}
    why = why_missing(plan, store)
    origins = origins_of(plan, store)
    for key, node in scores.items():
        if store.done(key):
            yield from _with_origin(_read(store, key), origins(key))
        elif reason := why(key):
            assert node.labels is not None
            yield from _without_value(node.labels, node.metrics, "failed", reason)
    for cell in plan.skipped:
        yield from _without_value(cell.labels, cell.metrics, "skipped", cell.reason)
    yield from costs(plan, store)


def _require_stated(plan: Plan, measured: Iterable[Record]) -> None:
    """Raise BenchError where records are of another protocol, scale or data set than their plan says."""
    for record in measured:
        for name in ("protocol", "scale", "dataset"):
            if record.status == "ok" and getattr(record, name) != plan.about[name]:
                raise BenchError(
                    f"a plan in the store says that its {name} is '{plan.about[name]}', but its result "
                    f"{record.task} is of '{getattr(record, name)}'; delete {plan.digest}.plan from the "
                    "folder runs/ of the store and run the command again"
                )


def _read(store: Store, key: str, file: str = "records.jsonl") -> Iterator[Record]:
    """The records of a scoring task, with what its manifest knows of the run; none without the file."""
    if not (store.out(key) / file).exists():
        return
    manifest = store.manifest(key)
    yield from read_records(
        store.out(key) / file,
        task=key,
        run=manifest.run,
        env=manifest.env,
        commit=manifest.commit,
        seconds=manifest.seconds,
        gpu_seconds=manifest.gpu_seconds,
        peak_memory=manifest.peak_memory,
        origin="",
    )


def origins_of(plan: Plan, store: Store) -> Callable[[str], str]:
    """The stores from which a task, or what it rests on, was merged; the function gives "" for most tasks."""
    if not has_merged(store):
        return lambda key: ""

    @functools.cache
    def stores(key: str) -> frozenset[str]:
        above = (stores(used) for _, used in plan.nodes[key].inputs)
        return frozenset({origin(store, key)} - {""}).union(*above)

    return lambda key: ", ".join(sorted(stores(key)))


def _merged_notes(measured: Iterable[Record]) -> Iterator[str]:
    """A sentence per store that results come from, with the methods that it is about."""
    methods: dict[str, dict[str, None]] = {}
    for record in measured:
        if record.origin:
            names = methods.setdefault(record.origin, {})
            names.update(
                dict.fromkeys(
                    name for name in (record.generator_title, record.detector_title) if name != NONE
                )
            )
    for stores, names in methods.items():
        yield f"results of {', '.join(names)} were merged from store {stores}, not made here"


def _with_origin(rows: Iterable[Record], stores: str) -> Iterator[Record]:
    """The records with where they are from, also in words beside the value."""
    for row in rows:
        if not stores:
            yield row
            continue
        note = "; ".join(text for text in (row.note, f"merged from store {stores}") if text)
        yield replace(row, origin=stores, note=note)


def why_missing(plan: Plan, store: Store) -> Callable[[str], str]:
    """Why a goal has no result: its own failure, or that of a task it rests on; empty if it was not run."""
    store = checked(store)
    failed, done = store.failed(), functools.cache(store.done)
    sound: set[str] = set()  # rest on no failure

    def why(key: str) -> str:
        stack, visited = [key], {key}
        while stack:
            current = stack.pop()
            if (current in failed or current in store.faults) and (
                failure := store.failure(current)
            ) is not None:
                title = "" if current == key else f"{plan.nodes[current].title}: "
                return title + failure["error"]
            for _, used in plan.nodes[current].inputs:
                if used not in visited and used not in sound and not done(used):
                    visited.add(used)
                    stack.append(used)
        sound.update(visited)
        return ""

    return why


def _without_value(
    labels: CellLabels, metrics: tuple[tuple[str, str], ...], status: Status, reason: str
) -> Iterator[Record]:
    for level, metric in metrics:
        yield Record.of(labels, level=level, metric=metric, status=status, note=reason)


def _dialects(plan: Plan, store: Store) -> Iterator[Record]:
    for key in plan.goals:
        if plan.nodes[key].stage == BEFORE_SCORE_DETECTION_3 and store.done(key):
            yield from _read(store, key)
        elif plan.nodes[key].stage == ScoreDetection.name and store.done(key):
            yield from _read(store, key, "dialects.jsonl")


def _near_duplicates(plan: Plan, store: Store) -> Iterator[Mapping[str, Any]]:
    for key in plan.goals:
        if plan.nodes[key].stage == DataDuplicates.name and store.done(key):
            yield from json.loads((store.out(key) / "pairs.json").read_text())


def _environments(plan: Plan, store: CheckedStore, scored: Iterable[Record]) -> list[dict[str, Any]]:
    """The environments that made the goals, most goals first; `scored` are the records that there are."""
    recorded = {record.task: record.env for record in scored if record.level != "cost"}
    goals: dict[str, int] = {}
    for key in plan.goals:
        if key in recorded or store.done(key):
            env = recorded[key] if key in recorded else store.manifest(key).env
            goals[env] = goals.get(env, 0) + 1
    return [store.environment(env) for env in sorted(goals, key=lambda env: (-goals[env], env))]
