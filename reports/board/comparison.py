"""Two sets of results against each other: the same cell in both, the difference, and whether it is chance.

Cells are matched by name: metric in its dialect, detector, generator, mix. Versions and parameters of methods
may differ, that is what one compares; all of `bench.record.record.COMPARABILITY` must agree, or the cell says
why not. Where both kept bootstrap replicates of the same test images, draw r of both is of the same resample,
and the interval is that of the paired differences; where they only state errors, these are taken as
independent. Family of Holm's correction: the cells of one category, or of the mean, that can be tested. As in
ranks, values that are written alike do not differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.record.record import Record, why_incomparable
from bench.results.run import Results
from reports.board.cells import Cell
from reports.board.glossary import column_title, decimals, level_title, number, unit_mark
from reports.board.identity import Column, Method, Row, mix_name
from reports.board.ranks import differ, difference_bounds, difference_p
from reports.board.tables import MEAN, Leaderboard, leaderboard

_Cell = tuple[Column, Row]


@dataclass(frozen=True)
class Difference:
    """One cell in both results; values are fractions or on the metric's own scale."""

    detector: str
    level: str
    metric: str
    dialect: str
    generator: str
    mix: str
    category: str
    """A category, or "mean" over the categories that both have."""
    first: float | None
    second: float | None
    difference: float | None
    """Second minus first; None where the two cannot be compared."""
    low: float | None
    high: float | None
    interval: str
    """paired, independent errors, same task, or "" where there is none."""
    verdict: str
    """better, worse, no difference beyond chance, not tested, not comparable, only in one."""
    reasons: tuple[str, ...]
    title: str
    """The cell as a reader calls it."""
    first_text: str
    second_text: str
    difference_text: str


def compare(first: Results, second: Results) -> list[Difference]:
    """Every cell of two results, the mean over the common categories first, then category by category."""
    common = {record.category for record in _scores(first)} & {record.category for record in _scores(second)}
    boards, sides = [], []
    for results in (first, second):
        scored = [record for record in _scores(results) if record.category in common]
        board = leaderboard(scored, results.replicates, results.baseline)
        boards.append(board)
        sides.append(_Side.of(board, scored))
    positions = dict.fromkeys((*sides[0].cells, *sides[1].cells))
    differences = []
    for category in (MEAN, *sorted(common)):
        pairs = [_Pair.of(position, category, sides) for position in positions]
        tested = [pair for pair in pairs if pair.p is not None]
        verdicts = differ(
            [pair.p for pair in tested if pair.p is not None], [pair.bounds for pair in tested].__getitem__
        )
        differs = dict(zip(map(id, tested), verdicts, strict=True))
        differences += [pair.difference(boards, differs.get(id(pair))) for pair in pairs if not pair.is_void]
    return differences


_Position = tuple[str, str, str, str, str, str, str]
"""level, metric, dialect, detector, its variant, generator, mix: what a cell is called in both."""


@dataclass(frozen=True)
class _Side:
    """One leaderboard, its cells by the names that both sides share."""

    cells: Mapping[_Position, _Cell]
    board: Leaderboard
    records: Mapping[_Position, Mapping[str, Sequence[Record]]]
    """By position and category."""

    @classmethod
    def of(cls, board: Leaderboard, records: Iterable[Record]) -> "_Side":
        cells: dict[_Position, _Cell] = {}
        for row, column, category in board.cells:
            if category is MEAN:
                # of methods that share a name, the first in order stands for it
                cells.setdefault(_position(row, column), (column, row))
        by_category: dict[_Position, dict[str, list[Record]]] = {}
        chosen = set(cells.values())
        for record in records:
            column, row = Column.of(record), Row.of(record)
            if (column, row) in chosen:
                by_category.setdefault(_position(row, column), {}).setdefault(record.category, []).append(
                    record
                )
        return cls(cells, board, by_category)

    def cell(self, position: _Position, category: str | None) -> Cell | None:
        if position not in self.cells:
            return None
        column, row = self.cells[position]
        return self.board.cells.get((row, column, category))

    def records_at(self, position: _Position, category: str | None) -> Sequence[Record]:
        by_category = self.records.get(position, {})
        if category is MEAN:
            return [record for records in by_category.values() for record in records]
        return by_category.get(category, ())


def _position(row: Row, column: Column) -> _Position:
    return (
        *(column.level, column.metric, column.dialect, column.detector.name, column.detector.variant),
        *(str(row.generator), row.mix),
    )


@dataclass(frozen=True, eq=False)
class _Pair:
    """One cell of both sides before the verdict."""

    position: _Position
    category: str | None
    column: Column
    row: Row
    first: Cell | None
    second: Cell | None
    reasons: tuple[str, ...]
    is_same: bool
    p: float | None
    bounds: tuple[float, float] | None
    interval: str

    @classmethod
    def of(cls, position: _Position, category: str | None, sides: Sequence[_Side]) -> "_Pair":
        one, other = (side.cell(position, category) for side in sides)
        column, row = next(side.cells[position] for side in sides if position in side.cells)
        mine, theirs = (side.records_at(position, category) for side in sides)
        pair = cls(position, category, column, row, one, other, (), False, None, None, "")
        if one is not None and other is not None and one.value is not None and other.value is not None:
            tasks = {record.task for record in mine}
            # A value is itself, also where something of it is unknown.
            if tasks == {record.task for record in theirs} and "" not in tasks:
                return replace(pair, is_same=True, bounds=(0.0, 0.0), interval="same task")
        pair = replace(pair, reasons=_reasons(mine, theirs))
        if one is None or other is None or one.value is None or other.value is None or pair.reasons:
            return pair
        return pair._tested(one, other)

    def _tested(self, one: Cell, other: Cell) -> "_Pair":
        how = ""
        if one.draws is not None and other.draws is not None:
            how = "paired" if len(one.draws) == len(other.draws) else "independent resamples"
        elif one.spread is not None and other.spread is not None:
            how = "independent errors"
        return replace(self, p=difference_p(other, one), bounds=difference_bounds(other, one), interval=how)

    @property
    def is_void(self) -> bool:
        """Whether neither side has anything to say of this category."""
        return self.first is None and self.second is None

    def difference(self, boards: Sequence[Leaderboard], differs: bool | None) -> Difference:
        column = self.column
        values = [cell.value if cell is not None else None for cell in (self.first, self.second)]
        digits = decimals(column, [value for value in values if value is not None])
        one, other = values
        moved = None if one is None or other is None or self.reasons else other - one
        low, high = self.bounds or (None, None)
        written = [_cell_text(column, cell, digits) for cell in (self.first, self.second)]
        text = "–"
        if moved is not None:
            text = "0" if self.is_same else number(column, moved, digits, signed=True)
            if not self.is_same and low is not None and high is not None:
                ends = (number(column, low, digits, signed=True), number(column, high, digits, signed=True))
                text += f" ({ends[0]} to {ends[1]})"
        return Difference(
            detector="" if column.is_generation else str(column.detector),
            level=column.level,
            metric=column.metric,
            dialect=column.dialect,
            generator=str(self.row.generator),
            mix=self.row.mix,
            category="mean" if self.category is MEAN else self.category,
            first=one,
            second=other,
            difference=moved,
            low=low if moved is not None else None,
            high=high if moved is not None else None,
            interval=self.interval,
            verdict=self._verdict(moved, None if differs is None else differs and written[0] != written[1]),
            reasons=self._why(),
            title=_title(column, self.row),
            first_text=written[0],
            second_text=written[1],
            difference_text=text,
        )

    def _verdict(self, moved: float | None, differs: bool | None) -> str:
        if self.first is None or self.second is None:
            return "only in the second" if self.first is None else "only in the first"
        if self.reasons:
            return "not comparable"
        if moved is None:
            return "no value"
        if self.is_same:
            return "the same task"
        if differs is None:
            return "not tested"
        if not differs:
            return "no difference beyond chance"
        return "better" if moved * self.column.sign > 0 else "worse"

    def _why(self) -> tuple[str, ...]:
        if self.reasons:
            return self.reasons
        return tuple(
            f"{name}: {reason}"
            for name, cell in (("first", self.first), ("second", self.second))
            if cell is not None and cell.value is None
            for reason in cell.reasons or (cell.status,)
        )


def _scores(results: Results) -> list[Record]:
    return [record for record in results.records if record.level != "cost" and record.kind == "measured"]


def _reasons(first: Sequence[Record], second: Sequence[Record]) -> tuple[str, ...]:
    """Why the values of a cell may not be compared: reasons of all its categories, each once."""
    mine: dict[str, Record] = {}
    for record in first:
        if record.status == "ok" and record.defect == "all":
            mine.setdefault(record.category, record)
    reasons: dict[str, None] = {}
    for record in second:
        if record.status == "ok" and record.defect == "all" and record.category in mine:
            reasons |= dict.fromkeys(why_incomparable(record, mine[record.category]))
    return tuple(reasons)


def _title(column: Column, row: Row) -> str:
    images = "real images" if row.generator == Method("none") else str(row.generator)
    mixed = f" ({mix_name(row.mix)})" if row.mix and images != "real images" else ""
    level = "" if column.level in ("generation", "classification") else f"{level_title(column.level)} "
    detector = "" if column.is_generation else f"{column.detector} "
    return f"{detector}{level}{column_title(column)} {unit_mark(column)}: {images}{mixed}"


def _cell_text(column: Column, cell: Cell | None, digits: int) -> str:
    if cell is None:
        return "–"
    return cell.status if cell.value is None else number(column, cell.value, digits)
