"""The curves of a report, read as they are looked up: losses of trainings, ROC and precision-recall."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.planning.plan import Plan
from bench.results.method_tasks import DETECTOR_SCORES, detector_tasks
from bench.results.run import Curves, Trace
from bench.stages.detector import DetectorFit
from bench.store import Store

_T = TypeVar("_T")


class _Lazy(Mapping[str, _T]):
    """A mapping that is read when it is looked into."""

    def __init__(self, read: Callable[[], Mapping[str, _T]]) -> None:
        self.read = read

    def __getitem__(self, name: str) -> _T:
        return self.read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())


def traces(plan: Plan, store: Store) -> Iterator[Trace]:
    """The training curve of each fit of a detector that wrote one."""
    traced: set[str] = set()
    columns = functools.lru_cache(maxsize=1)(_columns)  # a hundred thousand steps each, so one at a time
    for _, score, labels in plan.scores(*DETECTOR_SCORES):
        for model in detector_tasks(plan, score):
            curve = store.out(model) / "trace.csv"
            if plan.nodes[model].stage != DetectorFit.name or model in traced or not curve.exists():
                continue
            if not (store.done(model) or store.dropped(model)):
                continue
            traced.add(model)
            yield Trace(
                labels.detector_title,
                labels.generator_title,
                labels.mix,
                store.definition(model)["params"]["category"],
                labels.seed,
                _Lazy(functools.partial(columns, curve)),
            )


def _columns(trace: Path) -> Mapping[str, np.ndarray]:
    """The columns of a trace.csv."""
    with trace.open(errors="replace") as lines:
        names = lines.readline().rstrip("\n").split(",")
        try:
            table = np.loadtxt(lines, delimiter=",", ndmin=2)
        except ValueError:  # a gap, or a note
            table = np.empty((0, 0))
    if table.shape[1] == len(set(names)) and all(name.isidentifier() for name in names):
        return dict(zip(names, table.T, strict=True))
    try:  # knows every kind of file, and takes four times as long
        whole = np.genfromtxt(trace, delimiter=",", names=True, ndmin=1)
    except ValueError:  # lines of several lengths, or not a text
        return {}
    return {name: whole[name] for name in whole.dtype.names or ()}


def curves(plan: Plan, store: Store) -> Iterator[Curves]:
    """ROC and precision-recall curves of each score that is done and wrote them."""
    for key in plan.goals:
        labels, points = plan.nodes[key].labels, store.out(key) / "curves.json"
        if labels is not None and store.done(key) and points.exists():
            yield Curves(
                labels.category,
                labels.detector_title,
                labels.generator_title,
                labels.mix,
                labels.seed,
                _Lazy(functools.cache(functools.partial(_points, points))),
            )


def _points(path: Path) -> Mapping[str, Mapping[str, np.ndarray]]:
    return {
        level: {kind: np.array(points, dtype=np.float64) for kind, points in by_kind.items()}
        for level, by_kind in json.loads(path.read_bytes()).items()
    }
