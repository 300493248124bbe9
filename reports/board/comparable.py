"""Which records of one column may stand beside each other, and in words why the others may not.

`bench.record.record.COMPARABILITY` lists what must be equal. Within a column the category varies by cell and
the mix by row; the real third has no generated images, so their number is compared between generators only.
A value of which something is unknown is shown and has no part in ranks, gains and best marks; it is left out
only where it is known to differ.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from bench.record.record import COMPARABILITY, Record, unknown_of, why_different

BY_ROW = ("mix", "generated_per_type")
BY_CELL = ("category", "split", "reference")
"""Fields that may differ from cell to cell, so long as all rows agree within one."""

_COLUMN = [name for name in COMPARABILITY if name not in (*BY_ROW, *BY_CELL)]
_Values = Callable[[Record], tuple[object, ...]]
_of_column: _Values = attrgetter(*_COLUMN)
_of_generating: _Values = attrgetter(*_COLUMN, "generated_per_type")
_of_cell: _Values = attrgetter(*(name for name in BY_CELL if name != "category"))
_of_all_but_rows: _Values = attrgetter(*_COLUMN, *BY_CELL)


def _generates(record: Record) -> bool:
    return record.mix != "real" and record.generator != "none"


def _majority(records: Sequence[Record], values: _Values) -> Record:
    """A record with the values that most have; ties go to the smallest in text order."""
    counts = Counter(map(values, records))
    best = min(counts, key=lambda values_of_one: (-counts[values_of_one], repr(values_of_one)))
    return next(record for record in records if values(record) == best)


def incomparable(records: Iterable[Record]) -> Mapping[Record, tuple[str, ...]]:
    """Why each odd record of one column may not share it; the records that may are not in the mapping.

    What most records of the column agree on decides, those first of which all is known; records without a
    value are not asked.
    """
    records = [record for record in records if record.status == "ok"]
    valued = [record for record in records if not unknown_of(record)] or records
    if not valued:
        return {}
    generating = [record for record in valued if _generates(record)]
    norm = _majority(generating or valued, _of_generating if generating else _of_column)
    cells: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        cells.setdefault((record.category, record.seed), []).append(record)

    odd = {}
    for members in cells.values():
        local = _majority(members, _of_cell)
        reference = replace(norm, **{name: getattr(local, name) for name in BY_CELL})
        expected, count = _of_all_but_rows(reference), reference.generated_per_type
        for record in members:
            own_count = record.generated_per_type if _generates(record) else count
            if own_count != count or _of_all_but_rows(record) != expected:
                aligned = replace(record, mix=reference.mix, generated_per_type=own_count)
                if differences := why_different(aligned, reference):
                    odd[record] = tuple(differences)
    return odd
