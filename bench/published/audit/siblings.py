"""The same quantity in several tables, and the same numbers under several names."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from bench.published.audit.cell_key import CellKey, key_of
from bench.published.audit.contradiction import Checked, contradiction, metric_name, overlap
from bench.published.paper import Paper, Value

_FEWEST = 4
"""Equal numbers that are no chance."""
_DULL = (1.0, 99.5)
"""Percentages outside of which equal numbers say nothing."""


def unequal_siblings(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Quantities that two tables print differently, after all rounding."""
    places: dict[CellKey, list[Value]] = {}
    for paper in papers:
        for value in paper.values:
            places.setdefault(key_of(value), []).append(value)
    for values in places.values():
        if len({value.table for value in values}) < 2:
            continue
        if all(_agree(one, other) for one, other in combinations(values, 2)):
            yield values[0], None
            continue
        distinct = {value.text: value for value in reversed(values)}
        printed = ", ".join(distinct)
        numbers = "; ".join(f"{value.text} in {value.table}" for value in values)
        first, *others = values
        sentence = f"{metric_name(first)} is printed as {numbers}"
        yield first, contradiction("sibling", first, others, printed, first.text, sentence, _why(values))


def same_numbers(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Rows of different methods with the same numbers: at least four, and two thirds of what they share."""
    rows: dict[tuple[str, ...], dict[CellKey, Value]] = {}
    for paper in papers:
        for value in paper.values:
            row = value.row
            row_key = (row["paper"], row["table"], row["dataset"], row["category"], row["generator"])
            measure = CellKey(*key_of(value))._replace(
                generator="",
                generator_variant="",
                detector="",
                detector_variant="",
                mix="",
                scope="",
                modality="",
            )
            rows.setdefault((*row_key, row["detector"], row["note"]), {})[measure] = value
    for (_, one), (_, other) in combinations(rows.items(), 2):
        shared = [(one[measure], other[measure]) for measure in one.keys() & other.keys()]
        shared = [(a, b) for a, b in shared if not _same_quantity(a, b)]
        telling = [(a, b) for a, b in shared if _DULL[0] < a.printed < _DULL[1]]
        equal = [(a, b) for a, b in telling if _agree(a, b)]
        if len(telling) < _FEWEST:
            continue
        if len(equal) < _FEWEST or 3 * len(equal) < 2 * len(telling):
            yield telling[0][0], None
            continue
        equal.sort(key=lambda pair: pair[0].line)
        first, second = equal[0]
        sentence = (
            f"{len(equal)} of {len(telling)} numbers of {_row_name(first)} are those of {_row_name(second)} "
            f"in {second.table}: {', '.join(b.text for _, b in equal)}"
        )
        printed = ", ".join(a.text for a, _ in equal)
        explanation = "one row was taken from the other, or two rows were mixed up"
        yield (
            first,
            contradiction(
                "same numbers", first, [second], printed, "numbers of its own", sentence, explanation
            ),
        )


def _agree(one: Value, other: Value) -> bool:
    return overlap(
        one.printed - one.half_step,
        one.printed + one.half_step,
        other.printed - other.half_step,
        other.printed + other.half_step,
    )


def _same_quantity(one: Value, other: Value) -> bool:
    """Whether both rows claim to be the same thing, so that equal numbers are as they should be."""
    return key_of(one) == key_of(other)


def _row_name(value: Value) -> str:
    row = value.row
    return f"{row['generator']} with {row['detector']}" if row["detector"] else row["generator"]


def _why(values: Sequence[Value]) -> str:
    steps = max(
        abs(one.printed - other.printed) / (2 * max(one.half_step, other.half_step))
        for one, other in combinations(values, 2)
    )
    if steps < 1.5:
        return "rounded twice, or once down"
    if any(value.facts.get("quoted") for value in values):
        return "quoted from another version of the earlier paper's numbers, or scored again"
    if values[0].row["level"] in ("image", "pixel"):
        return "another run or another checkpoint of the same detector (D19), such as another fixed epoch"
    return "another run, or another generated set"
