"""What a run will cost, from what like tasks have cost: seconds, GPU seconds and bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from bench.store import Store
from bench.tasks import Task


@dataclass(frozen=True)
class Forecast:
    """Sums over the tasks to run of which like ones were measured."""

    seconds: float
    """Of one CPU slot."""
    gpu_seconds: float
    bytes: int
    known: int
    unknown: int
    """Tasks of a kind that this store has never done."""


def forecast(store: Store, todo: Iterable[Task]) -> Forecast:
    """Each task is taken to cost the median of the done tasks of its stage and method."""
    tasks = list(todo)
    wanted = {_kind(task.stage, task.adapter) for task in tasks}
    measured: dict[str, list[tuple[float, float, int]]] = {}
    for key in store.keys():  # noqa: SIM118 - a store is no dict
        definition = store.definition(key)
        kind = _kind(definition["stage"], definition["adapter"])
        if kind in wanted:
            manifest = store.manifest(key)
            cost = (manifest.seconds, manifest.gpu_seconds, manifest.bytes)
            measured.setdefault(kind, []).append(cost)
    costs = {
        kind: tuple(median(column) for column in zip(*rows, strict=True)) for kind, rows in measured.items()
    }
    known = [costs[kind] for task in tasks if (kind := _kind(task.stage, task.adapter)) in costs]
    seconds, gpu_seconds, sizes = (sum(column) for column in zip(*known, strict=True)) if known else (0, 0, 0)
    return Forecast(
        seconds=max(0.0, seconds - gpu_seconds),
        gpu_seconds=gpu_seconds,
        bytes=int(sizes),
        known=len(known),
        unknown=len(tasks) - len(known),
    )


def _kind(stage: str, adapter: str) -> str:
    return f"{stage} {adapter.partition('#')[0]}"
