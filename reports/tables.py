"""Leaderboards: pure functions from records to cells, ranks and gains, and from those to pandas tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.records import Record
from reports.cells import Cell, Grid, Replicates, row_cell
from reports.identity import Column, Method, Row, baseline_name, method_labels, row_labels
from reports.ranks import Gain, gains, ranks

if TYPE_CHECKING:
    import pandas as pd

MEAN: None = None
"""The key of the mean over categories, where a category's name would stand."""

Key = tuple[Row, Column, str | None]


@dataclass(frozen=True)
class Leaderboard:
    """All cells of one protocol run: rows by columns by categories, and the mean over categories."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: Mapping[Key, Cell]
    gains: Mapping[Key, Gain]
    labels: Mapping[Row, str]
    detectors: Mapping[Method, str]

    def rows_of(self, columns: Iterable[Column]) -> tuple[Row, ...]:
        """The rows that have a cell, filled or void, in any of these columns."""
        columns = tuple(columns)
        return tuple(row for row in self.rows if any((row, column, MEAN) in self.cells for column in columns))

    def columns_of(self, detector: Method) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.detector == detector)


def leaderboard(records: Iterable[Record], replicates: Replicates | None = None) -> Leaderboard:
    """Every cell of these records. Costs, and values of single defect types, have tables of their own.

    `replicates(task)` gives the bootstrap replicates of a scoring task, "<level>.<metric>" to float64 [R];
    without it there are no intervals but those that records state, and no ranks.
    """
    kept = [each for each in records if each.level != "cost" and each.metric and each.defect == "all"]
    by_column: dict[Column, list[Record]] = {}
    for record in kept:
        by_column.setdefault(Column.of(record), []).append(record)
    columns = sorted((_in_unit(members, kept) for members in by_column.values()), key=Column.order)
    cells: dict[Key, Cell] = {}
    gained: dict[Key, Gain] = {}
    remembered = _remember(replicates or (lambda task: {}))
    for column in columns:
        grid = Grid.of(by_column[column])
        rows = sorted({row for row, _, _ in grid.records}, key=Row.order)
        for category in (MEAN, *grid.categories):
            over = grid.categories if category is MEAN else (category,)
            line = {row: row_cell(grid, row, over, remembered) for row in rows}
            places = ranks(line, column.sign)
            for row, cell in line.items():
                cells[row, column, category] = replace(cell, rank=places.get(row))
            for row in rows:
                if row.is_baseline:
                    for other, gain in gains(line, row, column.sign).items():
                        gained[other, column, category] = gain
    rows = sorted({row for row, _, _ in cells}, key=Row.order)
    return Leaderboard(
        rows=tuple(rows),
        columns=tuple(columns),
        categories=tuple(sorted({record.category for record in kept})),
        seeds=tuple(sorted({record.seed for record in kept if record.kind == "measured"})),
        cells=cells,
        gains=gained,
        labels=row_labels(rows, baseline_name(kept)),
        detectors=method_labels(column.detector for column in columns),
    )


def _in_unit(members: list[Record], every: list[Record]) -> Column:
    """The column of these records, with unit and direction from a value of it or of its metric elsewhere."""
    column = Column.of(members[0])
    valued = [each for each in members if each.status == "ok"] or [
        each for each in every if each.status == "ok" and each.metric == column.metric
    ]
    if not valued:
        return replace(column, unit="", direction="")
    found = min(valued, key=lambda each: (each.unit, each.direction))
    return replace(column, unit=found.unit, direction=found.direction)


def _remember(replicates: Replicates) -> Replicates:
    """The same replicates, each task's read once."""
    known: dict[str, Mapping[str, np.ndarray]] = {}

    def remembered(task: str) -> Mapping[str, np.ndarray]:
        if task not in known:
            known[task] = replicates(task)
        return known[task]

    return remembered


def tidy(board: Leaderboard) -> "pd.DataFrame":
    """One line a cell; the mean over categories stands under category "mean of categories"."""
    import pandas as pd

    lines = []
    for (row, column, category), cell in board.cells.items():
        gain = board.gains.get((row, column, category))
        lines.append(
            {
                "kind": row.kind,
                "mix": row.mix,
                "generator": board.labels[row],
                "detector": board.detectors[column.detector],
                "level": column.level,
                "metric": column.metric,
                "dialect": column.dialect,
                "category": "mean of categories" if category is MEAN else category,
                "status": cell.status,
                "value": cell.value,
                "low": cell.low,
                "high": cell.high,
                "interval": cell.interval,
                "rank": cell.rank,
                "gain": gain and gain.value,
                "gain_low": gain and gain.low,
                "gain_high": gain and gain.high,
                "categories": cell.categories,
                "of_categories": cell.of_categories,
                "seeds": cell.seeds,
                "unit": column.unit,
                "direction": column.direction,
                "reason": "; ".join(cell.reasons),
            }
        )
    return pd.DataFrame(lines)
