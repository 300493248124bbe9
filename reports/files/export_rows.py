"""The leaderboard as plain rows, for programs: a value with its interval, rank and gain in each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.record.record import Record
from reports.board.identity import Column, Row
from reports.board.tables import MEAN, Leaderboard


@dataclass(frozen=True)
class BoardRow:
    """One cell of a leaderboard; fractions and the metric's own scale, as in records."""

    kind: str
    """measured or published."""
    dataset: str
    detector: str
    level: str
    metric: str
    dialect: str
    unit: str
    direction: str
    row: str
    """What is compared: "real third only", a generator."""
    generator: str
    mix: str
    category: str
    """A category, or "mean" over all."""
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    interval: str = ""
    """How the interval was made."""
    rank: int | None = None
    """1 + the number of rows that are significantly better; none where nothing can be tested."""
    gain: float | None = None
    """Over the baseline row of the column, positive where it is better."""
    gain_low: float | None = None
    gain_high: float | None = None
    gain_significant: str = ""
    """yes or no, after Holm's correction; "" without a gain."""
    categories: int = 0
    """How many categories a mean is over."""
    status: str = "ok"
    note: str = ""
    """Why there is no value; of published values, their caveats."""
    source: str = ""


MEAN_NAME = "mean"


def board_rows(board: Leaderboard, dataset: str, published: Iterable[Record] = ()) -> list[BoardRow]:
    """Every cell of a leaderboard, column by column, then what papers printed."""
    return [*_measured(board, dataset), *map(_published, published)]


def _measured(board: Leaderboard, dataset: str) -> Iterator[BoardRow]:
    for column in board.columns:
        for category in (MEAN, *board.categories):
            for row in board.rows:
                if (row, column, category) in board.cells:
                    yield _row(board, dataset, row, column, category)


def _row(board: Leaderboard, dataset: str, row: Row, column: Column, category: str | None) -> BoardRow:
    cell = board.cells[row, column, category]
    gain = board.gains.get((row, column, category))
    return BoardRow(
        kind="measured",
        dataset=dataset,
        detector="" if column.is_generation else board.detectors[column.detector],
        level=column.level,
        metric=column.metric,
        dialect=column.dialect,
        unit=column.unit,
        direction=column.direction,
        row=board.labels[row],
        generator=str(row.generator),
        mix=row.mix,
        category=MEAN_NAME if category is MEAN else category,
        value=cell.value,
        ci_low=cell.low,
        ci_high=cell.high,
        interval=cell.interval,
        rank=cell.rank,
        gain=gain.value if gain else None,
        gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None,
        gain_significant=("yes" if gain.significant else "no") if gain else "",
        categories=cell.categories,
        status=cell.status,
        note="; ".join(cell.reasons),
    )


def _published(record: Record) -> BoardRow:
    generator = record.generator_title
    return BoardRow(
        kind="published",
        dataset=record.dataset,
        detector="" if record.detector == "none" else record.detector,
        level=record.level,
        metric=record.metric,
        dialect=record.dialect,
        unit=record.unit,
        direction=record.direction,
        row=generator,
        generator=generator,
        mix=record.mix,
        category=record.category,
        value=record.value,
        note=record.note,
        source=record.source,
    )
