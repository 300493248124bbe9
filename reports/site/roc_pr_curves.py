"""ROC and precision-recall curves as geometry for inline SVG: one panel per category, level and kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.results.run import Curves
from reports.site.svg_lines import PlotLine, Tick, colours, row_order

WIDTH, HEIGHT = 260, 210
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 34
AXES = {"roc": ("false positive rate", "true positive rate"), "pr": ("recall", "precision")}
TITLES = {"roc": "ROC", "pr": "precision-recall"}


@dataclass(frozen=True)
class Plot:
    level: str
    kind: str
    x_label: str
    y_label: str
    lines: tuple[PlotLine, ...]


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


def plots(curves: Sequence[Curves]) -> tuple[CategoryPlots, ...]:
    """The plots of one detector, lowest seed, in order of categories; a colour is a row in all of them."""
    colour = colours(curves)
    by_category = []
    for category in sorted({curve.category for curve in curves}):
        seeds = [curve.seed for curve in curves if curve.category == category]
        of_seed = [curve for curve in curves if (curve.category, curve.seed) == (category, min(seeds))]
        panels = []
        for level in ("pixel", "image"):
            for kind, (x_label, y_label) in AXES.items():
                lines = tuple(
                    PlotLine(
                        curve.generator,
                        curve.mix,
                        curve.seed,
                        colour[curve.generator, curve.mix],
                        _path(points),
                    )
                    for curve in sorted(of_seed, key=row_order)
                    if (points := curve.points.get(level, {}).get(kind)) is not None and len(points)
                )
                if lines:
                    panels.append(Plot(level, kind, x_label, y_label, lines))
        if panels:
            by_category.append(CategoryPlots(category, tuple(panels)))
    return tuple(by_category)


def _x(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - RIGHT)


def _y(value: float) -> float:
    return TOP + (1.0 - value) * (HEIGHT - TOP - BOTTOM)


def _path(points: np.ndarray) -> str:
    return " ".join(f"{_x(float(x)):.1f},{_y(float(y)):.1f}" for x, y in points)
