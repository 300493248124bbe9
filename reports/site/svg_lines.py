"""What line plots in a page are made of: lines, marks of axes, and a legend in which a colour is a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reports.board.identity import mix_position

COLOURS = 8
"""How many line colours the page's style defines."""


class OfRow(Protocol):
    """A curve of one row of the leaderboard."""

    @property
    def generator(self) -> str: ...

    @property
    def mix(self) -> str: ...


@dataclass(frozen=True)
class PlotLine:
    generator: str
    mix: str
    seed: int
    colour: int
    points: str
    """SVG polyline points."""
    last: str = ""
    """The last value, as text."""


@dataclass(frozen=True)
class Tick:
    position: float
    text: str


@dataclass(frozen=True)
class LegendEntry:
    """What a colour means."""

    generator: str
    mix: str
    colour: int


def row_order(curve: OfRow) -> tuple[int, str, str]:
    """Rows in the order of the leaderboard's mixes."""
    return *mix_position(curve.mix), curve.generator


def legend(curves: Sequence[OfRow]) -> tuple[LegendEntry, ...]:
    """The colours of all plots of a page, one per row of the leaderboard."""
    rows = sorted({row_order(curve) for curve in curves})
    return tuple(
        LegendEntry(generator, mix, number % COLOURS) for number, (_, mix, generator) in enumerate(rows)
    )


def colours(curves: Sequence[OfRow]) -> dict[tuple[str, str], int]:
    """(generator, mix) to the number of its colour."""
    return {(entry.generator, entry.mix): entry.colour for entry in legend(curves)}
