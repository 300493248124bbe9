"""The catalogue: every metric, level, dialect, mix, selection and scope, once.

Titles, sentences, units, directions, orders and what a stage plans to record are looked up here. An unknown
name is refused when a record is written (`require_known`) and shown as it is when a record is read: it may
come from another version, a paper or a plug-in that is not loaded. A plug-in file adds its own entries:

    from bench.record import catalogue
    catalogue.add(catalogue.Metric("coverage", "coverage", "Share of real images ...", ("generation",)))
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from bench.errors import BenchError, did_you_mean
from bench.record.catalogue.dialects import DIALECTS, REPOSITORIES
from bench.record.catalogue.entries import Dialect, Level, Metric, MixEntry, Scoring, Wording
from bench.record.catalogue.metrics import LEVELS, METRICS
from bench.record.catalogue.training import MIXES, SCOPES, SELECTIONS

__all__ = [
    "MIXES",
    "REPOSITORIES",
    "SCOPES",
    "SELECTIONS",
    "Dialect",
    "Level",
    "Metric",
    "MixEntry",
    "Scoring",
    "Wording",
    "add",
    "by_name",
    "dialects",
    "headlines",
    "levels",
    "metric_title",
    "metrics",
    "mixes",
    "planned",
    "position",
    "require_known",
]

Entry = Metric | Level | Dialect | MixEntry
_Named = TypeVar("_Named", bound=Entry | Wording)


def by_name(entries: Iterable[_Named]) -> dict[str, _Named]:
    """Entries by their names, in their order."""
    return {entry.name: entry for entry in entries}


_METRICS, _LEVELS, _DIALECTS, _MIXES = by_name(METRICS), by_name(LEVELS), by_name(DIALECTS), by_name(MIXES)
_TABLES: Mapping[str, dict] = {
    "metric": _METRICS,
    "level": _LEVELS,
    "dialect": _DIALECTS,
    "mix": _MIXES,
}
_KINDS = {Metric: "metric", Level: "level", Dialect: "dialect", MixEntry: "mix"}
_BUILT_IN = {kind: frozenset(table) for kind, table in _TABLES.items()}


def add(entry: Entry) -> None:
    """Add an entry of a plug-in, behind those there are; BenchError where its name is built in."""
    kind = _KINDS[type(entry)]
    if entry.name in _BUILT_IN[kind]:
        raise BenchError(f"the catalogue already has a {kind} '{entry.name}'; choose another name")
    if isinstance(entry, Metric):
        _require("level", entry.levels)
        _require("dialect", entry.dialects)
    _TABLES[kind][entry.name] = entry


def metrics() -> Mapping[str, Metric]:
    """Every metric by name, in the order of pages."""
    return _METRICS


def levels() -> Mapping[str, Level]:
    """Every level by name, in the order of pages."""
    return _LEVELS


def dialects() -> Mapping[str, Dialect]:
    """Every dialect by name."""
    return _DIALECTS


def mixes() -> Mapping[str, MixEntry]:
    """Every mix that has words of its own, by name, in the order of pages."""
    return _MIXES


def position(name: str, names: Iterable[str]) -> tuple[int, str]:
    """Where a name stands in an order; those that it lacks come last, by their letters."""
    order = list(names)
    return (order.index(name) if name in order else len(order), name)


def metric_title(name: str) -> str:
    """A metric's short name; of an unknown one its own name, without underscores."""
    entry = _METRICS.get(name)
    return entry.title if entry else name.replace("_", " ")


def planned(*at: str) -> tuple[tuple[str, str], ...]:
    """(level, metric) of all that stages record at these levels by the default rules."""
    return tuple(
        (level, name)
        for level in at
        for name, entry in _METRICS.items()
        if level in entry.levels and not entry.unrecorded
    )


def headlines() -> Sequence[tuple[str, str]]:
    """(level, metric) pairs that can stand for a whole detector, the preferred one first."""
    ranked = [
        (rank, level, name) for name, entry in _METRICS.items() for level, rank in entry.headline.items()
    ]
    return [(level, name) for _, level, name in sorted(ranked)]


def require_known(level: str, metric: str, dialect: str) -> None:
    """Raises BenchError where the catalogue has no such level, metric or dialect, or not together."""
    _require("level", [level])
    _require("metric", [metric])
    _require("dialect", [dialect])
    entry = _METRICS[metric]
    if level not in entry.levels:
        raise BenchError(
            f"the catalogue has no metric '{metric}' of level '{level}'; add the level to its entry"
        )
    if dialect not in entry.dialects:
        raise BenchError(
            f"the catalogue has no dialect '{dialect}' of metric '{metric}'; add it to the metric's entry"
        )


def _require(kind: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in _TABLES[kind]:
            raise BenchError(did_you_mean(kind, name, _TABLES[kind], of="bench.record.catalogue"))
