"""Protocol sensitivity: what the choice of scoring rules alone moves, with the predictions held fixed.

Two questions. How far apart do the dialects put one and the same set of predictions: that much of a
difference between two papers needs no better generator. And how much does a gain over the baseline change
where both sides are scored by the same dialect.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.record.record import Record
from reports.board.glossary import dialect_sentence, is_percent, level_title, metric_title, number
from reports.board.identity import Column, Method, Row, mix_name
from reports.board.tables import MEAN, Leaderboard
from reports.site.filters import choices
from reports.site.run_board import Page, RunBoard
from reports.site.views import generator_of


@dataclass(frozen=True)
class Mark:
    """One dialect on the line of a row."""

    dialect: str
    text: str
    gain: str
    """Over the baseline in the same dialect; "" for the baseline itself."""
    value: float | None


@dataclass(frozen=True)
class Span:
    """One row under every dialect."""

    label: str
    mix: str
    is_baseline: bool
    generator: str
    marks: tuple[Mark, ...]
    spread: str
    low: float
    high: float


@dataclass(frozen=True)
class Sensitivity:
    """One metric of one detector."""

    detector: str
    metric: str
    short: str
    """The metric as filters name it."""
    dialects: tuple[str, ...]
    spans: tuple[Span, ...]
    spread: str
    """How far apart the dialects put the same predictions, at most over the rows."""
    change: str
    """How much a gain over the baseline changes between dialects, at most; "" without a baseline."""
    turned: str
    """How many rows gain in one dialect and lose in another, "1 of 4"; "" without a baseline."""
    published_gain: str
    """The median of the margins that papers print for their own method; "" where none is printed."""
    within: str
    """How many of these margins are no larger than what dialects put apart here, "12 of 40"; "" likewise."""
    unit: str
    low: float
    high: float
    """Ends of a common axis."""


def pages(run: RunBoard) -> Iterator[Page]:
    if run.results.dialects:
        yield Page("sensitivity.html", "sensitivity.html", partial(_context, run))


def _context(run: RunBoard) -> Mapping[str, Any]:
    board = run.all_dialects
    by_metric = sensitivities(board, run.results.published)
    dialects = dict.fromkeys(column.dialect for column in board.columns if not column.is_generation)
    return {
        "sensitivities": by_metric,
        "dialects": explained(dialects) if by_metric else (),
        "choices": choices(
            detector=[sensitivity.detector for sensitivity in by_metric],
            metric=[sensitivity.short for sensitivity in by_metric],
            generator=[span.generator for sensitivity in by_metric for span in sensitivity.spans],
        ),
    }


def dialect_words(dialect: str) -> str:
    return "exact" if dialect == "default" else dialect


def explained(dialects: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((dialect_words(dialect), dialect_sentence(dialect)) for dialect in dialects)


def sensitivities(board: Leaderboard, published: Sequence[Record]) -> tuple[Sensitivity, ...]:
    """Of every metric that has values in more than one dialect; `board` holds all dialects."""
    groups: dict[tuple[Method, str, str], list[Column]] = {}
    for column in board.columns:
        groups.setdefault((column.detector, column.level, column.metric), []).append(column)
    by_metric = []
    for (detector, level, metric), columns in groups.items():
        if len(columns) < 2 or all(column.dialect != "default" for column in columns):
            continue
        gains = published_gains(published, level, metric)
        one = _sensitivity(board, board.detectors[detector], columns, gains)
        if one is not None:
            by_metric.append(one)
    return tuple(by_metric)


def _sensitivity(
    board: Leaderboard, detector: str, columns: Sequence[Column], gains: Sequence[float]
) -> Sensitivity | None:
    exact = next(column for column in columns if column.dialect == "default")
    digits = board.digits[exact]
    spans = [span for row in board.rows_of(columns) if (span := _span(board, row, columns, exact, digits))]
    if not spans:
        return None
    widest = max(span.high - span.low for span in spans)
    changes: dict[Row, list[float]] = {}
    for row in board.rows:
        for column in columns:
            gain = board.gains.get((row, column, MEAN))
            if gain is not None:
                changes.setdefault(row, []).append(gain.value)
    most = max((max(values) - min(values) for values in changes.values()), default=None)
    turned = sum(1 for values in changes.values() if min(values) < 0 < max(values))
    within = sum(1 for gain in gains if abs(gain) <= widest)
    name = f"{level_title(exact.level)} {metric_title(exact.metric)}".replace(" level", "")
    return Sensitivity(
        detector,
        name,
        metric_title(exact.metric),
        tuple(dialect_words(column.dialect) for column in columns),
        tuple(spans),
        number(exact, widest, digits),
        "" if most is None else number(exact, most, digits),
        f"{turned} of {len(changes)}" if changes else "",
        f"{number(exact, gains[len(gains) // 2], digits, signed=True)}" if gains else "",
        f"{within} of {len(gains)}" if gains else "",
        " points" if is_percent(exact) else "",
        min(span.low for span in spans),
        max(span.high for span in spans),
    )


def _span(board: Leaderboard, row: Row, columns: Sequence[Column], exact: Column, digits: int) -> Span | None:
    marks = []
    for column in columns:
        cell = board.cells.get((row, column, MEAN))
        gain = board.gains.get((row, column, MEAN))
        value = cell.value if cell is not None else None
        marks.append(
            Mark(
                dialect_words(column.dialect),
                "—" if value is None else number(exact, value, digits),
                "" if gain is None else number(exact, gain.value, digits, signed=True),
                value,
            )
        )
    values = [mark.value for mark in marks if mark.value is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    return Span(
        board.labels[row],
        "" if board.is_baseline(row) else mix_name(row.mix),
        board.is_baseline(row),
        generator_of(row) if not board.is_baseline(row) else "",
        tuple(marks),
        number(exact, high - low, digits),
        low,
        high,
    )


def published_gains(published: Sequence[Record], level: str, metric: str) -> list[float]:
    """By how much papers print their own method ahead, in order.

    Over the table's row without generated images, or where it has none over the best other method.
    """
    tables: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in published:
        if (record.level, record.metric, record.category) == (level, metric, "mean"):
            table = (record.source, record.dataset, record.detector, record.detector_variant)
            tables.setdefault(table, []).append(record)
    margins = []
    for (source, *_), members in tables.items():
        own_values: list[float] = []
        others: list[float] = []
        bases: list[float] = []
        for record in members:
            if record.value is not None and not record.generator_variant:
                is_own = record.generator == source.partition(",")[0].lower()
                kind = own_values if is_own else bases if record.generator == "none" else others
                kind.append(record.value)
        if len(own_values) == 1 and (bases or others):
            margins.append(own_values[0] - max(bases or others))
    return sorted(margins)
