"""Which records of one column may stand beside each other, and in words why the others may not.

`bench.records.COMPARABILITY` lists what must be equal. Within a column the category varies by cell and the
mix by row; the real third has no generated images, so their number is compared between generators only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bench.records import COMPARABILITY, UNKNOWN, Record, why_incomparable

BY_ROW = ("mix", "generated_per_type")
BY_CELL = ("category", "split", "reference")
"""Fields that may differ from cell to cell, so long as all rows agree within one."""

_COLUMN_FIELDS = tuple(name for name in COMPARABILITY if name not in (*BY_ROW, *BY_CELL))
_CELL_FIELDS = tuple(name for name in BY_CELL if name != "category")


def _values(record: Record, names: Sequence[str]) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in names)


def _generates(record: Record) -> bool:
    return record.mix != "real" and record.generator != "none"


def _majority(records: Sequence[Record], names: Sequence[str]) -> Record:
    """A record with the values of these fields that most have; ties go to the smallest in text order."""
    counts = Counter(_values(record, names) for record in records)
    best = min(counts, key=lambda values: (-counts[values], repr(values)))
    return next(record for record in records if _values(record, names) == best)


def incomparable(records: Iterable[Record]) -> Mapping[Record, tuple[str, ...]]:
    """Why each odd record of one column may not share it; the records that may are not in the mapping.

    What most records of the column agree on decides; records without a value are not asked.
    """
    valued = [record for record in records if record.status == "ok"]
    if not valued:
        return {}
    generating = [record for record in valued if _generates(record)]
    names = (*_COLUMN_FIELDS, "generated_per_type") if generating else _COLUMN_FIELDS
    norm = _majority(generating or valued, names)
    cells: dict[tuple[str, int], list[Record]] = {}
    for record in valued:
        cells.setdefault((record.category, record.seed), []).append(record)

    odd = {}
    for members in cells.values():
        local = _majority(members, _CELL_FIELDS)
        reference = replace(norm, **{name: getattr(local, name) for name in BY_CELL})
        expected = _values(reference, COMPARABILITY)
        for record in members:
            aligned = replace(
                record,
                mix=reference.mix,
                generated_per_type=record.generated_per_type
                if _generates(record)
                else reference.generated_per_type,
            )
            found = _values(aligned, COMPARABILITY)
            if found != expected or UNKNOWN in found:
                odd[record] = tuple(why_incomparable(aligned, reference))
    return odd
