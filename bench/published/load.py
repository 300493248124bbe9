"""All papers that are installed, and their values as records."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.methods import registry
from bench.published.paper import Paper, Value, load_paper
from bench.record.record import UNKNOWN, Record

AVERAGE = "mean"
"""The category of a paper's own mean over categories."""


@functools.cache
def papers() -> tuple[Paper, ...]:
    """The papers in all folders that entry points of `bench.published` name, by name of their files.

    Raises BenchError where one cannot be read.
    """
    files: dict[str, Path] = {}
    for folder in registry.published_folders():
        for path in sorted(folder.glob("*.toml")):
            if path.stem in files:
                raise BenchError(f"{path} and {files[path.stem]} are one paper's name; rename one")
            files[path.stem] = path
    return tuple(load_paper(files[name]) for name in sorted(files))


def published_records(
    protocol: str, version: int = 0, shelf: Iterable[Paper] | None = None
) -> tuple[Record, ...]:
    """What papers printed for that which a protocol measures, in the order of the papers' tables.

    Every record says kind "published"; rates are fractions. `version` is that of the protocol beside which
    they are shown. Empty for a protocol that no paper has a table of.
    """
    return tuple(
        record_of(value, protocol, version)
        for paper in (papers() if shelf is None else shelf)
        for value in paper.values
        if protocol in value.facts.get("protocols", ())
    )


def record_of(value: Value, protocol: str, version: int) -> Record:
    """The record of one printed value."""
    row, facts = value.row, value.facts
    generator, variant = name_and_variant(row["generator"])
    detector, detector_variant = name_and_variant(row["detector"] or "none")
    percent = facts["unit"] == "percent"
    fields: dict[str, Any] = {
        "generator": generator,
        "generator_variant": variant,
        "detector": detector,
        "detector_variant": detector_variant,
        "level": row["level"],
        "direction": "higher",
    }
    fields |= {name: fact for name, fact in facts.items() if name not in _NOT_IN_RECORDS}
    return Record(
        **fields,
        kind="published",
        protocol=protocol,
        protocol_version=version,
        scale="paper",
        dataset=row["dataset"],
        dataset_fingerprint=UNKNOWN,
        category=row["category"],
        metric=row["metric"],
        metric_version=1,
        value=round(value.printed / 100, facts["digits"] + 2) if percent else value.printed,
        unit="fraction" if percent else facts["unit"],
        note="; ".join(value.caveats),
        source=value.table,
    )


_NOT_IN_RECORDS = ("protocols", "digits", "quoted", "unit")


def name_and_variant(method: str) -> tuple[str, str]:
    """ "seas[no-na]" to ("seas", "no-na")."""
    name, _, variant = method.partition("[")
    return name, variant.removesuffix("]")
