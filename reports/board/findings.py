"""What a leaderboard says in a sentence a detector, and the same as points and whiskers for a plot."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.metrics.uncertainty import FEWEST
from bench.record import catalogue
from reports.board.glossary import column_title, is_percent, level_title, number, plain_unit
from reports.board.identity import Column, Method, mix_name
from reports.board.tables import MEAN, Leaderboard


@dataclass(frozen=True)
class Point:
    label: str
    mix: str
    mark: str
    """"up", "down" or "" where the gain is within chance."""
    value: float
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class Finding:
    detector: str
    measure: str
    sentence: str
    points: tuple[Point, ...]
    unit: str
    limit: float
    """Points and whiskers lie within ± this."""


def headline(board: Leaderboard, detector: Method) -> Column | None:
    """The measurement that stands for a detector: the first in the catalogue's order that has a value."""
    columns = board.columns_of(detector)
    valued = {column for (_, column, _), cell in board.cells.items() if cell.value is not None}
    columns = tuple(column for column in columns if column in valued) or columns
    for level, metric in catalogue.headlines():
        for column in columns:
            if (column.level, column.metric, column.dialect) == (level, metric, "default"):
                return column
    return columns[0] if columns else None


def findings(board: Leaderboard, detectors: Sequence[Method]) -> tuple[Finding, ...]:
    """One finding for each detector that has a baseline to gain over."""
    of_detectors = []
    for detector in detectors:
        column = headline(board, detector)
        if column is None:
            continue
        keys = [(row, column, MEAN) for row in board.rows if (row, column, MEAN) in board.gains]
        if keys:
            of_detectors.append(_finding(board, column, keys))
    return tuple(of_detectors)


def _finding(board: Leaderboard, column: Column, keys: Sequence[tuple]) -> Finding:
    digits = board.digits[column]
    points = []
    for key in keys:
        gain, row = board.gains[key], key[0]
        mark = ("up" if gain.value > 0 else "down") if gain.significant else ""
        points.append(
            Point(
                board.labels[row],
                mix_name(row.mix),
                mark,
                gain.value,
                gain.low,
                gain.high,
                number(column, gain.value, digits, signed=True),
            )
        )
    measure = f"{level_title(column.level)} {column_title(column)}".replace(" level", "")
    if column.level == "classification":
        measure = column_title(column)
    ahead = [point for point in points if point.mark == "up"]
    behind = [point for point in points if point.mark == "down"]
    baseline = next(label for row, label in board.labels.items() if board.is_baseline(row))
    unit = " points" if is_percent(column) else f" {plain_unit(column)}".rstrip()

    def named(point: Point) -> str:
        return f"{point.label}, {point.mix} ({point.text}{unit})"

    if not any(board.gains[key].is_tested for key in keys):
        has_errors = any(board.cells[key].spread is not None for key in keys)
        few = f"there are fewer than {FEWEST} test images of a kind, or nothing varied among them"
        why = few if has_errors else "no intervals were stored"
        sentence = f"no difference to {baseline} can be told from chance in {measure}: {why}"
    else:
        gained = "; ".join(named(point) for point in sorted(ahead, key=lambda point: -point.value))
        sentence = (
            f"{len(ahead)} of {len(points)} rows beat {baseline} in {measure}: {gained}"
            if ahead
            else f"none of {len(points)} rows beats {baseline} in {measure} by more than chance"
        )
        if behind:
            sentence += f". {len(behind)} {'is' if len(behind) == 1 else 'are'} worse by more than chance"
    ends = [abs(end) for point in points for end in (point.value, point.low, point.high) if end is not None]
    return Finding(
        board.detectors[column.detector], measure, sentence + ".", tuple(points), unit, max([*ends, 1e-9])
    )
