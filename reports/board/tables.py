"""Leaderboards: from records to cells, ranks and gains."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bench.record.record import Record
from reports.board.cells import Cell, Grid, Replicates, draws_of_column, row_cell
from reports.board.glossary import decimals, number
from reports.board.identity import Column, Method, Row, baseline_name, method_labels, row_labels
from reports.board.ranks import Gain, gains, ranks

MEAN: None = None
"""The key of the mean over categories, where a category's name would stand."""

BoardKey = tuple[Row, Column, str | None]


@dataclass(frozen=True)
class Leaderboard:
    """All cells of one protocol run: rows by columns by categories, and the mean over categories."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: Mapping[BoardKey, Cell]
    gains: Mapping[BoardKey, Gain]
    labels: Mapping[Row, str]
    detectors: Mapping[Method, str]
    digits: Mapping[Column, int]
    """Digits after the point that a column is written with."""
    baseline: str = "real"
    """The mix of the row that gains are counted from."""
    origins: Mapping[tuple[Row, Column], str] = field(default_factory=dict)
    """The stores that values of a row were merged from; not in it is what was made here."""

    def is_baseline(self, row: Row) -> bool:
        return row.mix == self.baseline and row.kind == "measured"

    def rows_of(self, columns: Iterable[Column]) -> tuple[Row, ...]:
        """The rows that have a cell, filled or void, in any of these columns."""
        columns = tuple(columns)
        return tuple(row for row in self.rows if any((row, column, MEAN) in self.cells for column in columns))

    def columns_of(self, detector: Method) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.detector == detector)


def leaderboard(
    records: Iterable[Record],
    replicates: Replicates | None = None,
    baseline: str = "real",
    *,
    bare: bool = False,
) -> Leaderboard:
    """Every cell of these records. Costs, and values of single defect types, have tables of their own.

    `replicates(task)` gives the bootstrap replicates of a scoring task, "<level>.<metric>" to float64 [R];
    without it there are no intervals but those that records state, and no ranks. `baseline` is the mix of the
    row that gains are counted from. With `bare` there are values alone.
    """
    scored = [
        record for record in records if record.level != "cost" and record.metric and record.defect == "all"
    ]
    by_column: dict[Column, list[Record]] = {}
    for record in scored:
        by_column.setdefault(Column.of(record), []).append(record)
    columns = sorted((_in_unit(members, scored) for members in by_column.values()), key=Column.order)
    cells: dict[BoardKey, Cell] = {}
    gained: dict[BoardKey, Gain] = {}
    for column in columns:
        grid = Grid.of(by_column[column])
        rows = sorted(grid.records, key=Row.order)
        draws_of = None if bare else draws_of_column(column, replicates or (lambda task: {}))
        for category in (MEAN, *grid.categories):
            over = grid.categories if category is MEAN else (category,)
            for row in rows:
                cells[row, column, category] = row_cell(grid, row, over, draws_of)
    digits = _digits(columns, cells)
    by_line: dict[tuple[Column, str | None], dict[Row, Cell]] = {}
    for (row, column, category), cell in cells.items():
        if cell.is_comparable:
            by_line.setdefault((column, category), {})[row] = cell
    for (column, category), line in by_line.items():
        text = functools.partial(number, column, digits=digits[column])
        for row, rank in ranks(line, column.sign, text).items():
            cells[row, column, category] = replace(line[row], rank=rank)
        for row in line:
            if row.mix == baseline and row.kind == "measured":
                for other, gain in gains(line, row, column.sign, text).items():
                    gained[other, column, category] = gain
    present = {row for row, _, _ in cells}
    rows = sorted(present, key=lambda row: (row.kind != "measured", row.mix != baseline, *row.order()))
    return Leaderboard(
        rows=tuple(rows),
        columns=tuple(columns),
        categories=tuple(sorted({record.category for record in scored})),
        seeds=tuple(sorted({record.seed for record in scored if record.kind == "measured"})),
        cells=cells,
        gains=gained,
        labels=row_labels(rows, baseline_name(scored)),
        detectors=method_labels(column.detector for column in columns),
        digits=digits,
        baseline=baseline,
        origins=_origins(by_column),
    )


def _origins(by_column: Mapping[Column, Iterable[Record]]) -> dict[tuple[Row, Column], str]:
    """Rows and columns with values that were merged from other stores, to the names of those."""
    stores: dict[tuple[Row, Column], dict[str, None]] = {}
    for column, records in by_column.items():
        for record in records:
            if record.origin:
                stores.setdefault((Row.of(record), column), {})[record.origin] = None
    return {position: ", ".join(sorted(names)) for position, names in stores.items()}


def _digits(columns: Iterable[Column], cells: Mapping[BoardKey, Cell]) -> dict[Column, int]:
    """Digits after the point of each column."""
    values: dict[Column, list[float]] = {column: [] for column in columns}
    for (_, column, _), cell in cells.items():
        if cell.value is not None:
            values[column].append(cell.value)
    return {column: decimals(column, of_column) for column, of_column in values.items()}


def _in_unit(members: list[Record], records: list[Record]) -> Column:
    """The column of these records, with unit and direction from a value of it or of its metric elsewhere."""
    column = Column.of(members[0])
    valued = [record for record in members if record.status == "ok"] or [
        record for record in records if record.status == "ok" and record.metric == column.metric
    ]
    if not valued:
        return replace(column, unit="", direction="")
    valued_record = min(valued, key=lambda record: (record.unit, record.direction))
    return replace(column, unit=valued_record.unit, direction=valued_record.direction)
