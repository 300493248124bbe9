"""Two sets of results against each other: the same cell in both, the difference, and whether it is chance.

Cells are matched by name: metric in its dialect, detector, generator, mix. Versions and parameters of methods
may differ, that is what one compares; all of `bench.record.record.COMPARABILITY` must agree, or the cell says
why not. Where both kept bootstrap replicates of the same test images, draw r of both is of the same resample,
and the interval is that of the paired differences; where they only state errors, these are taken as
independent. Family of Holm's correction: the cells of one category, or of the mean, that can be tested.
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
        kept = [record for record in _scores(results) if record.category in common]
        board = leaderboard(kept, results.replicates, results.baseline)
        boards.append(board)
        sides.append(_Side.of(board, kept))
    places = dict.fromkeys((*sides[0].cells, *sides[1].cells))
    found = []
    for category in (MEAN, *sorted(common)):
        pairs = [_Pair.of(place, category, sides) for place in places]
        tested = [pair for pair in pairs if pair.p is not None]
        apart = dict(
            zip(map(id, tested), differ([pair.p for pair in tested if pair.p is not None]), strict=True)
        )
        found += [pair.told(boards, apart.get(id(pair))) for pair in pairs if not pair.is_void]
    return found


_Place = tuple[str, str, str, str, str, str, str]
"""level, metric, dialect, detector, its variant, generator, mix: what a cell is called in both."""


@dataclass(frozen=True)
class _Side:
    """One leaderboard, its cells by the names that both sides share."""

    cells: Mapping[_Place, _Cell]
    board: Leaderboard
    records: Mapping[_Place, Mapping[str, Sequence[Record]]]
    """By place and category."""

    @classmethod
    def of(cls, board: Leaderboard, records: Iterable[Record]) -> "_Side":
        cells: dict[_Place, _Cell] = {}
        for row, column, category in board.cells:
            if category is MEAN:
                # of methods that share a name, the first in order stands for it
                cells.setdefault(_place(row, column), (column, row))
        held: dict[_Place, dict[str, list[Record]]] = {}
        chosen = set(cells.values())
        for record in records:
            column, row = Column.of(record), Row.of(record)
            if (column, row) in chosen:
                held.setdefault(_place(row, column), {}).setdefault(record.category, []).append(record)
        return cls(cells, board, held)

    def cell(self, place: _Place, category: str | None) -> Cell | None:
        if place not in self.cells:
            return None
        column, row = self.cells[place]
        return self.board.cells.get((row, column, category))

    def of_place(self, place: _Place, category: str | None) -> Sequence[Record]:
        held = self.records.get(place, {})
        if category is MEAN:
            return [record for records in held.values() for record in records]
        return held.get(category, ())


def _place(row: Row, column: Column) -> _Place:
    return (
        *(column.level, column.metric, column.dialect, column.detector.name, column.detector.variant),
        *(str(row.generator), row.mix),
    )


@dataclass(frozen=True, eq=False)
class _Pair:
    """One cell of both sides before the verdict."""

    place: _Place
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
    def of(cls, place: _Place, category: str | None, sides: Sequence[_Side]) -> "_Pair":
        one, other = (side.cell(place, category) for side in sides)
        column, row = next(side.cells[place] for side in sides if place in side.cells)
        mine, theirs = (side.of_place(place, category) for side in sides)
        pair = cls(place, category, column, row, one, other, _reasons(mine, theirs), False, None, None, "")
        if one is None or other is None or one.value is None or other.value is None or pair.reasons:
            return pair
        if {record.task for record in mine} == {record.task for record in theirs}:
            return replace(pair, is_same=True, bounds=(0.0, 0.0), interval="same task")
        return pair._tested(one, other)

    def _tested(self, one: Cell, other: Cell) -> "_Pair":
        how = ""
        if one.draws is not None and other.draws is not None:
            how = "paired" if len(one.draws) == len(other.draws) else "independent resamples"
        elif one.error is not None and other.error is not None:
            how = "independent errors"
        return replace(self, p=difference_p(other, one), bounds=difference_bounds(other, one), interval=how)

    @property
    def is_void(self) -> bool:
        """Whether neither side has anything to say of this category."""
        return self.first is None and self.second is None

    def told(self, boards: Sequence[Leaderboard], apart: bool | None) -> Difference:
        column = self.column
        values = [cell.value if cell is not None else None for cell in (self.first, self.second)]
        digits = decimals(column, [value for value in values if value is not None])
        one, other = values
        moved = None if one is None or other is None or self.reasons else other - one
        low, high = self.bounds or (None, None)
        shown = "–"
        if moved is not None:
            shown = "0" if self.is_same else number(column, moved, digits, signed=True)
            if not self.is_same and low is not None and high is not None:
                ends = (number(column, low, digits, signed=True), number(column, high, digits, signed=True))
                shown += f" ({ends[0]} to {ends[1]})"
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
            verdict=self._verdict(moved, apart),
            reasons=self._why(),
            title=_title(column, self.row),
            first_text=_shown(column, self.first, digits),
            second_text=_shown(column, self.second, digits),
            difference_text=shown,
        )

    def _verdict(self, moved: float | None, apart: bool | None) -> str:
        if self.first is None or self.second is None:
            return "only in the second" if self.first is None else "only in the first"
        if self.reasons:
            return "not comparable"
        if moved is None:
            return "no value"
        if self.is_same:
            return "the same task"
        if apart is None:
            return "not tested"
        if not apart:
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
    found: dict[str, None] = {}
    for record in second:
        if record.status == "ok" and record.defect == "all" and record.category in mine:
            found |= dict.fromkeys(why_incomparable(record, mine[record.category]))
    return tuple(found)


def _title(column: Column, row: Row) -> str:
    made = "real images" if row.generator == Method("none") else str(row.generator)
    mixed = f" ({mix_name(row.mix)})" if row.mix and made != "real images" else ""
    level = "" if column.level in ("generation", "classification") else f"{level_title(column.level)} "
    detector = "" if column.is_generation else f"{column.detector} "
    return f"{detector}{level}{column_title(column)} {unit_mark(column)}: {made}{mixed}"


def _shown(column: Column, cell: Cell | None, digits: int) -> str:
    if cell is None:
        return "–"
    return cell.status if cell.value is None else number(column, cell.value, digits)
