"""ROC and precision-recall curves as geometry for inline SVG: one panel a category, level and kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.results.run import Curves
from reports.board.identity import MIX_ORDER
from reports.site.curves import Key, Line, Tick

WIDTH, HEIGHT = 260, 210
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 34
AXES = {"roc": ("false positive rate", "true positive rate"), "pr": ("recall", "precision")}
TITLES = {"roc": "ROC", "pr": "precision-recall"}
COLOURS = 8


@dataclass(frozen=True)
class Plot:
    level: str
    kind: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class CategoryPlots:
    category: str
    plots: tuple[Plot, ...]


def ticks() -> tuple[tuple[Tick, ...], tuple[Tick, ...]]:
    """Marks at 0, 0.5 and 1 of both axes: (x, y)."""
    marks = (0.0, 0.5, 1.0)
    return (
        tuple(Tick(round(_x(mark), 1), f"{mark:g}") for mark in marks),
        tuple(Tick(round(_y(mark), 1), f"{mark:g}") for mark in marks),
    )


def rows_of(curves: Sequence[Curves]) -> tuple[Key, ...]:
    """The colours of all plots of a detector, one a row of the leaderboard."""
    rows = sorted({_row(each) for each in curves})
    return tuple(Key(generator, mix, i % COLOURS) for i, (_, mix, generator) in enumerate(rows))


def plots(curves: Sequence[Curves]) -> tuple[CategoryPlots, ...]:
    """The plots of one detector, lowest seed, in order of categories; a colour is a row in all of them."""
    colour = {(each.generator, each.mix): each.colour for each in rows_of(curves)}
    found = []
    for category in sorted({each.category for each in curves}):
        own = [each for each in curves if each.category == category]
        first = min(each.seed for each in own)
        members = sorted((each for each in own if each.seed == first), key=_row)
        panels = []
        for level in ("pixel", "image"):
            for kind, (x_label, y_label) in AXES.items():
                lines = tuple(
                    Line(
                        each.generator,
                        each.mix,
                        each.seed,
                        colour[each.generator, each.mix],
                        _path(points),
                        "",
                    )
                    for each in members
                    if (points := each.points.get(level, {}).get(kind)) is not None and len(points)
                )
                if lines:
                    panels.append(Plot(level, kind, x_label, y_label, lines))
        if panels:
            found.append(CategoryPlots(category, tuple(panels)))
    return tuple(found)


def _row(curve: Curves) -> tuple[int, str, str]:
    position = MIX_ORDER.index(curve.mix) if curve.mix in MIX_ORDER else len(MIX_ORDER)
    return position, curve.mix, curve.generator


def _x(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - RIGHT)


def _y(value: float) -> float:
    return TOP + (1.0 - value) * (HEIGHT - TOP - BOTTOM)


def _path(points: np.ndarray) -> str:
    return " ".join(f"{_x(float(x)):.1f},{_y(float(y)):.1f}" for x, y in points)
