"""Published numbers beside measured ones: rows for a leaderboard, and the gaps with the reasons for them.

Published and measured values are never ranked against each other. Where their keys differ, the reasons are
given in words (`bench.record.record.why_incomparable`, `reports.board.comparable`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.record.record import UNKNOWN, Record, why_incomparable
from reports.board.glossary import column_title, is_percent, level_title, metric_title, number, rule_sentence
from reports.board.identity import Column, Row, mix_name
from reports.board.tables import MEAN, Leaderboard
from reports.site.views import CellView, Head, TableLine

PUBLISHED_MEAN = "mean"
"""The category of a paper's own mean."""


@dataclass(frozen=True)
class GapLine:
    """One published value, and what was measured for the same method and metric, if anything."""

    source: str
    dataset: str
    category: str
    generator: str
    mix: str
    detector: str
    metric: str
    published: str
    measured: str
    difference: str
    short: str
    """The metric as filters name it."""
    published_sort: float
    measured_sort: float
    difference_sort: float
    reasons: tuple[str, ...]
    """Why the two may not share a column; empty where they may."""
    caveats: str


def _but_mix(position: tuple[str, str, str, str, str, str]) -> tuple[str, ...]:
    return position[:2] + position[3:]


def published_lines(
    published: Sequence[Record], columns: Sequence[Column], heads: Sequence[Head], category: str | None
) -> tuple[TableLine, ...]:
    """Rows of published values under the columns of a table, from the first table of a paper that has each.

    Variants of a method (ablations) are left to the gap page.
    """
    column_of: dict[tuple[str, str, str, str], Column] = {}
    for column in columns:
        of_rule = (column.level, column.metric, column.detector.name)
        column_of[*of_rule, column.dialect] = column
        column_of.setdefault((*of_rule, ""), column)
        if column.dialect == "default":
            column_of[*of_rule, ""] = column
    rows: dict[tuple[str, str, str, str], dict[Column, Record]] = {}
    for record in published:
        of_rule = (record.level, record.metric, record.detector)
        target = column_of.get((*of_rule, record.dialect)) or column_of.get((*of_rule, ""))
        if target is None or record.category != (category or PUBLISHED_MEAN) or record.value is None:
            continue
        if record.generator_variant or record.detector_variant:
            continue
        row = (record.source.partition(",")[0], record.dataset, record.generator, record.mix)
        rows.setdefault(row, {}).setdefault(target, record)
    lines = []
    for (paper, dataset, generator, mix), records in sorted(rows.items()):
        label = "without generated images" if generator == "none" else generator
        cells = tuple(
            _published_cell(column, records[column]) if column in records else CellView("", status="absent")
            for column in columns
        )
        name = mix_name(mix) if mix else ""
        lines.append(
            TableLine(
                f"{label}", name, False, cells, generator, kind="published", dataset=dataset, source=paper
            )
        )
    return tuple(lines)


def _published_cell(column: Column, record: Record) -> CellView:
    assert record.value is not None
    rule = ""
    if record.dialect == UNKNOWN:
        rule = "the rule of the metric is not stated"
    elif record.dialect != column.dialect:
        rule = rule_sentence(record.metric, record.dialect)
    note = "; ".join(part for part in (f"published in {record.source}", rule, record.note) if part)
    digits = 1 if is_percent(column) else 3
    return CellView(number(column, record.value, digits), note=note, sort=repr(record.value))


def gap_lines(
    published: Sequence[Record], board: Leaderboard, measured: Iterable[Record]
) -> tuple[GapLine, ...]:
    """Every published mean of a method that was measured here, and of its categories where they are the same.

    `board` and `measured` hold all dialects; a published value is set against the same dialect where there
    is one, else against the exact one.
    """
    by_position: dict[tuple[str, str, str, str, str, str], list[tuple[Row, Column]]] = {}
    for row, column, category in board.cells:
        if category is MEAN and row.kind == "measured":
            position = (
                row.generator.name,
                row.generator.variant,
                row.mix,
                column.detector.name,
                column.level,
                column.metric,
            )
            by_position.setdefault(position, []).append((row, column))
    sample: dict[tuple[Row, Column, str | None], Record] = {}
    for record in measured:
        for category in (MEAN, record.category):
            sample.setdefault((Row.of(record), Column.of(record), category), record)
    return tuple(
        line
        for record in published
        if record.level != "cost" and record.value is not None
        for line in _gap(record, board, by_position, sample)
    )


def _gap(
    record: Record,
    board: Leaderboard,
    by_position: Mapping[tuple[str, str, str, str, str, str], Sequence[tuple[Row, Column]]],
    sample: Mapping[tuple[Row, Column, str | None], Record],
) -> list[GapLine]:
    assert record.value is not None
    position = (
        record.generator,
        record.generator_variant,
        record.mix,
        record.detector,
        record.level,
        record.metric,
    )
    measured = by_position.get(position, ())
    if record.mix == UNKNOWN:  # where a paper does not say what it mixed, each mix may be what it did
        measured = [
            pair
            for key, pairs in by_position.items()
            if _but_mix(key) == _but_mix(position)
            for pair in pairs
        ]
    same = [pair for pair in measured if pair[1].dialect == record.dialect]
    lines = []
    for row, column in same or [pair for pair in measured if pair[1].dialect == "default"]:
        category = MEAN if record.category == PUBLISHED_MEAN else record.category
        cell = board.cells.get((row, column, category))
        if cell is None or cell.value is None:
            continue
        mine = sample[row, column, category]
        if category is not MEAN and mine.dataset != record.dataset:
            continue  # a category of another data set under the same name is another product
        theirs = replace(record, category=mine.category) if category is MEAN else record
        digits = 1 if is_percent(column) else 3
        lines.append(
            GapLine(
                record.source,
                record.dataset,
                record.category,
                board.labels[row],
                mix_name(row.mix) if row.mix and not board.is_baseline(row) else "",
                "" if column.is_generation else board.detectors[column.detector],
                f"{level_title(column.level)}: {column_title(column)}",
                number(column, record.value, digits),
                number(column, cell.value, digits),
                number(column, cell.value - record.value, digits, signed=True),
                metric_title(column.metric),
                record.value,
                cell.value,
                cell.value - record.value,
                tuple(why_incomparable(theirs, mine)),
                record.note,
            )
        )
    return lines


def tables_of(published: Sequence[Record]) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """What papers print for a protocol: (source, values, generators), in the order of the papers."""
    groups: dict[str, list[Record]] = {}
    for record in published:
        groups.setdefault(record.source, []).append(record)
    return tuple(
        (
            source,
            len(members),
            tuple(sorted({record.generator for record in members if record.generator != "none"})),
        )
        for source, members in groups.items()
    )
