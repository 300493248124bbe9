"""What each metric and dialect is, in one line, and how its numbers are written."""

import math
from collections.abc import Iterable

from bench.record import catalogue
from bench.record.catalogue import metric_title
from reports.board.identity import Column


def metric_sentence(metric: str) -> str:
    """What a metric is; "" where the catalogue does not know it."""
    entry = catalogue.metrics().get(metric)
    return entry.sentence if entry else ""


def dialect_sentence(dialect: str) -> str:
    """What a dialect is; "" where the catalogue does not know it."""
    entry = catalogue.dialects().get(dialect)
    return entry.sentence if entry else ""


def column_title(column: Column) -> str:
    """A metric's short name, its dialect where that is not the default one."""
    title, entry = metric_title(column.metric), catalogue.metrics().get(column.metric)
    if column.dialect != "default":
        return f"{title} ({column.dialect})"
    return (entry.head if entry else "") or title


def rule_sentence(metric: str, dialect: str) -> str:
    """By which rule a value was taken: "IoU at the best threshold of each image"."""
    entry = catalogue.dialects().get(dialect)
    return f"{metric_title(metric)} {entry.clause if entry else f'by the rule {dialect!r}'}"


def level_title(level: str) -> str:
    entry = catalogue.levels().get(level)
    return entry.title if entry else level


def table_of(column: Column) -> str:
    """The table that shows a column: images, honesty or detectors; of an unknown metric by its level."""
    entry = catalogue.metrics().get(column.metric)
    return entry.table if entry else "images" if column.is_generation else "detectors"


def is_percent(column: Column) -> bool:
    entry = catalogue.metrics().get(column.metric)
    return column.unit == "fraction" and (entry is None or entry.unit == "fraction")


def unit_mark(column: Column) -> str:
    """ "%" or the unit, and an arrow towards better where a value has told which way that is."""
    unit = "%" if is_percent(column) else plain_unit(column)
    arrow = {"lower": "↓", "higher": "↑"}.get(column.direction, "")
    return f"{unit} {arrow}".strip()


def plain_unit(column: Column) -> str:
    """The unit of a column that is not in percent; "" for a plain number."""
    return "" if column.unit in ("fraction", "1") else column.unit


def decimals(column: Column, values: Iterable[float]) -> int:
    """Digits after the point that show three significant ones of the largest value; of percentages 1 or 2."""
    largest = max((abs(value) for value in values), default=0.0)
    if is_percent(column):
        return 1 if largest >= 0.1 or largest == 0 else 2
    return 2 if largest == 0 else min(6, max(0, 2 - math.floor(math.log10(largest))))


def number(column: Column, value: float, digits: int, signed: bool = False) -> str:
    """A value as the page writes it, with a true minus sign."""
    scaled = value * 100 if is_percent(column) else value
    text = f"{scaled:+.{digits}f}" if signed else f"{scaled:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")
