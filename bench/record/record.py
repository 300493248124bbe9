"""Records: one row per metric value, every key always present.

A record is written by a scoring stage with what is decided by the task alone, so that the same task gives the
same bytes anywhere. What depends on the run (seconds, memory, environment) is joined from the manifest of the
task when records are loaded.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, Self

from bench.record import catalogue, why_not_comparable
from bench.record.labels import CellLabels

Status = Literal["ok", "undefined", "skipped", "failed"]

UNKNOWN = "unknown"
"""The value of a field that a source does not state; unknown equals nothing, not even unknown."""
UNKNOWN_COUNT = -1
"""The same where the field is a whole number."""


@dataclass(frozen=True)
class Record(CellLabels):
    """One metric value with all that decides what it may be compared with."""

    level: str = ""
    """generation | generation-normal | generation-depth | image | pixel | classification | cost."""
    metric: str = ""
    dialect: str = "default"
    metric_version: int = 0
    features: str = "none"
    weights_sha256: str = ""
    reference: str = ""
    """The set of real images that the metric compares with."""
    value: float | None = None
    """A fraction for rates, the metric's own scale otherwise; None unless status is ok."""
    unit: str = "fraction"
    direction: Literal["higher", "lower"] = "higher"
    n: int = 0
    stderr: float | None = None
    """Standard error of the value; None where it is not known, as of one image."""
    df: float | None = None
    """Degrees of freedom by which `stderr` is known, 0 where it is not; None where nothing states them."""
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str = ""
    status: Status = "ok"
    note: str = ""
    source: str = ""

    task: str = ""
    run: str = ""
    seconds: float | None = None
    gpu_seconds: float | None = None
    peak_memory: int | None = None
    env: str = ""
    commit: str = ""
    origin: str = ""
    """The stores, by uuid, from which the task or what it rests on was merged; "" where all was made here."""

    @classmethod
    def of(cls, labels: CellLabels, **fields: Any) -> Self:
        """A record of the cell with these labels."""
        return cls(**{**vars(labels), **fields})


PROVENANCE = ("task", "run", "seconds", "gpu_seconds", "peak_memory", "env", "commit", "origin")
"""Filled in from the manifest when records are loaded; two stores agree on all else."""

COMPARABILITY = (
    "protocol",
    "protocol_version",
    "scale",
    "dataset",
    "dataset_fingerprint",
    "category",
    "defect",
    "split",
    "shots",
    "resolution",
    "modality",
    "generated_per_type",
    "mix",
    "scope",
    "selection",
    "level",
    "metric",
    "dialect",
    "metric_version",
    "features",
    "weights_sha256",
    "reference",
    "unit",
)
"""Two values may share a column only if these are equal: all but the method, seeds, cost, provenance."""


_of_comparability = attrgetter(*COMPARABILITY)


def comparability(record: Record) -> tuple[Any, ...] | None:
    """The key that comparable records share; None if a field is unknown, which equals nothing."""
    key = _of_comparability(record)
    return None if any(map(_is_unknown, key)) else key


def why_incomparable(one: Record, other: Record) -> list[str]:
    """What sets `one` apart from `other`, in words; empty where they may share a column.

    Differences come first, then one clause that names all that is unknown on either side.
    """
    differing = _differing(one, other)
    unknown = [name for name, pair in differing.items() if any(map(_is_unknown, pair))]
    unknown = [name for name in unknown if not _implied(name, differing)]
    clauses = _stated(differing, one.metric)
    return [*clauses, why_not_comparable.unknown(unknown)] if unknown else clauses


def why_different(one: Record, other: Record) -> list[str]:
    """The same without what is unknown: the differences that both records state."""
    return _stated(_differing(one, other), one.metric)


def unknown_of(record: Record) -> str:
    """What of a record's comparability is not known, in words; empty where all is."""
    values = _of_comparability(record)
    if UNKNOWN not in values and UNKNOWN_COUNT not in values:
        return ""
    unknown = {name: None for name, value in zip(COMPARABILITY, values, strict=True) if _is_unknown(value)}
    return why_not_comparable.unknown([name for name in unknown if not _implied(name, unknown)])


def _differing(one: Record, other: Record) -> dict[str, tuple[Any, Any]]:
    return {
        name: (mine, theirs)
        for name in COMPARABILITY
        if (mine := getattr(one, name)) != (theirs := getattr(other, name)) or _is_unknown(mine)
    }


def _stated(differing: Mapping[str, tuple[Any, Any]], metric: str) -> list[str]:
    names = [name for name in why_not_comparable.ORDER if name in differing and not _implied(name, differing)]
    return [
        why_not_comparable.difference(name, *differing[name], metric)
        for name in names
        if not any(map(_is_unknown, differing[name]))
    ]


def _implied(name: str, differing: Mapping[str, Any]) -> bool:
    return why_not_comparable.IMPLIED.get(name) in differing


def _is_unknown(value: Any) -> bool:
    return value == UNKNOWN or (value == UNKNOWN_COUNT and isinstance(value, int))


def write_records(path: Path, records: Iterable[Record]) -> None:
    """One JSON object per line, keys sorted, without the provenance that the manifest holds.

    BenchError where the catalogue does not know a record's level, metric or dialect.
    """
    with path.open("w", encoding="utf-8") as out:
        for record in records:
            catalogue.require_known(record.level, record.metric, record.dialect)
            row = {name: value for name, value in vars(record).items() if name not in PROVENANCE}
            out.write(json.dumps(row, sort_keys=True, allow_nan=False) + "\n")


def read_records(path: Path, **provenance: Any) -> Iterator[Record]:
    """The records of a file, with the provenance of the task that wrote them."""
    names = [field.name for field in fields(Record)]
    for line in path.read_bytes().splitlines():
        row = json.loads(line)
        # a hundred thousand records hold few texts: each is kept once
        row_values = {
            name: sys.intern(value) if type(value := row[name]) is str else value
            for name in names
            if name in row
        }
        yield Record(**{**row_values, **provenance})
