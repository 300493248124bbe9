"""What a run will cost, from what like tasks have cost: seconds, GPU seconds and bytes."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from bench.errors import BenchError
from bench.store import Store
from bench.tasks import Task


@dataclass(frozen=True)
class Forecast:
    """Sums over the tasks to run of which like ones were measured."""

    seconds: float
    """Of one CPU slot."""
    gpu_seconds: float
    bytes: int
    measured: int
    """Number of tasks like ones that this store has done."""
    unmeasured: int
    """Number of tasks of a kind that this store has never done."""


def forecast(store: Store, todo: Iterable[Task]) -> Forecast:
    """Each task is taken to cost the median of the done tasks of its stage and method."""
    tasks = list(todo)
    kinds = {_kind(task.stage, task.adapter) for task in tasks}
    costs_by_kind: dict[str, list[tuple[float, float, int]]] = {}
    for key in store.keys():  # noqa: SIM118 - a store is not a dict
        with suppress(BenchError):  # what is damaged tells no cost
            definition = store.definition(key)
            kind = _kind(definition["stage"], definition["adapter"])
            if kind in kinds:
                manifest = store.manifest(key)
                cost = (manifest.seconds, manifest.gpu_seconds, manifest.bytes)
                costs_by_kind.setdefault(kind, []).append(cost)
    costs = {
        kind: tuple(median(column) for column in zip(*rows, strict=True))
        for kind, rows in costs_by_kind.items()
    }
    measured = [costs[kind] for task in tasks if (kind := _kind(task.stage, task.adapter)) in costs]
    seconds, gpu_seconds, sizes = (
        (sum(column) for column in zip(*measured, strict=True)) if measured else (0, 0, 0)
    )
    return Forecast(
        seconds=max(0.0, seconds - gpu_seconds),
        gpu_seconds=gpu_seconds,
        bytes=int(sizes),
        measured=len(measured),
        unmeasured=len(tasks) - len(measured),
    )


def _kind(stage: str, adapter: str) -> str:
    return f"{stage} {adapter.partition('#')[0]}"
