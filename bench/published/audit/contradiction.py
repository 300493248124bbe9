"""A contradiction between printed numbers, and the rule that could explain it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.published.paper import Value
from bench.record.catalogue import metric_title


@dataclass(frozen=True)
class Contradiction:
    """One contradiction, in words for people and in fields for programs."""

    rule: str
    """Name of the rule in `bench.published.audit.RULES`."""
    tables: tuple[str, ...]
    """"SeaS, Table 22" of each number that takes part."""
    dataset: str
    category: str
    generator: str
    detector: str
    level: str
    metric: str
    printed: str
    """The number as printed; several with commas."""
    expected: str
    """What the other numbers ask for in its place."""
    sentence: str
    explanation: str
    """The dialect, split or other rule by which both could be true; "" where none is known."""


Checked = tuple[Value, Contradiction | None]
"""A printed number that a rule has tested, and what it found; None where nothing contradicts the number."""


def contradiction(
    rule: str,
    value: Value,
    others: Sequence[Value],
    printed: str,
    expected: str,
    sentence: str,
    explanation: str,
) -> Contradiction:
    """The contradiction of one printed value with `others`."""
    row = value.row
    return Contradiction(
        rule=rule,
        tables=tuple(dict.fromkeys(part.table for part in (value, *others))),
        dataset=row["dataset"],
        category=row["category"],
        generator=row["generator"],
        detector=row["detector"],
        level=row["level"],
        metric=row["metric"],
        printed=printed,
        expected=expected,
        sentence=sentence,
        explanation=explanation,
    )


def metric_name(value: Value) -> str:
    """ "pixel AP" of a value."""
    name = metric_title(value.row["metric"])
    return f"{value.row['level']} {name}" if value.row["level"] in ("image", "pixel") else name


def overlap(low: float, high: float, other_low: float, other_high: float) -> bool:
    """Whether two closed intervals meet, ends that differ by rounding of floats alone included."""
    return low <= other_high + 1e-9 and other_low <= high + 1e-9
