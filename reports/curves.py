"""Training curves as geometry for inline SVG: one panel a detector, category and column of its trace."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bench.results import Trace
from reports.identity import MIX_ORDER

WIDTH, HEIGHT = 300, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 22
POINTS = 120
COLOURS = 8
"""How many line colours the page's style defines."""


@dataclass(frozen=True)
class Line:
    generator: str
    mix: str
    seed: int
    colour: int
    points: str
    """SVG polyline points."""
    last: str
    """The last value, as text."""


@dataclass(frozen=True)
class Tick:
    position: float
    text: str


@dataclass(frozen=True)
class Panel:
    detector: str
    category: str
    column: str
    logarithmic: bool
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def panels(traces: Sequence[Trace]) -> tuple[Panel, ...]:
    """Panels in order of detector, category and column; a colour means the same row in all of them."""

    def row(trace: Trace) -> tuple[int, str, str]:
        position = MIX_ORDER.index(trace.mix) if trace.mix in MIX_ORDER else len(MIX_ORDER)
        return position, trace.mix, trace.generator

    def place(entry: tuple[Trace, str]) -> tuple[str, str, str]:
        trace, column = entry
        return trace.detector, trace.category, column

    colour = {each: i % COLOURS for i, each in enumerate(sorted({row(trace) for trace in traces}))}
    entries = [(trace, column) for trace in traces for column in trace.columns if column != "step"]
    entries.sort(key=lambda entry: (place(entry), row(entry[0]), entry[0].seed))
    found = []
    for (detector, category, column), group in groupby(entries, key=place):
        curves = []
        for trace, _ in group:
            values = np.asarray(trace.columns[column], dtype=np.float64)
            steps = np.asarray(trace.columns.get("step", np.arange(len(values))), dtype=np.float64)
            keep = np.isfinite(values) & np.isfinite(steps)
            if keep.any():
                curves.append((trace, *_thinned(steps[keep], values[keep])))
        if curves:
            found.append(_panel(detector, category, column, curves, [colour[row(each[0])] for each in curves]))
    return tuple(found)


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most POINTS points, each the mean of a run of neighbours."""
    if len(steps) <= POINTS:
        return steps, values
    starts = np.linspace(0, len(steps), POINTS, endpoint=False).astype(int)
    sizes = np.diff(np.append(starts, len(steps)))
    return np.add.reduceat(steps, starts) / sizes, np.add.reduceat(values, starts) / sizes


def _panel(
    detector: str,
    category: str,
    column: str,
    curves: Sequence[tuple[Trace, np.ndarray, np.ndarray]],
    colours: Sequence[int],
) -> Panel:
    every = np.concatenate([values for _, _, values in curves])
    logarithmic = bool(every.min() > 0 and every.max() / every.min() > 30)
    lowest, highest = _range(np.log10(every) if logarithmic else every)
    steps = np.concatenate([steps for _, steps, _ in curves])
    first, last = _range(steps)

    def x(step: np.ndarray) -> np.ndarray:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: np.ndarray) -> np.ndarray:
        height = np.log10(value) if logarithmic else value
        return TOP + (highest - height) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)

    lines = tuple(
        Line(
            trace.generator,
            trace.mix,
            trace.seed,
            colour,
            " ".join(f"{px:.1f},{py:.1f}" for px, py in zip(x(step), y(value), strict=True)),
            f"{value[-1]:.3g}",
        )
        for (trace, step, value), colour in zip(curves, colours, strict=True)
    )
    marks = np.linspace(lowest, highest, 3)
    y_ticks = tuple(
        Tick(round(float(y(np.float64(10**mark if logarithmic else mark))), 1), f"{10**mark if logarithmic else mark:.3g}")
        for mark in marks
    )
    x_ticks = tuple(Tick(round(float(x(np.float64(mark))), 1), f"{mark:.4g}") for mark in (first, last))
    return Panel(detector, category, column, logarithmic, lines, x_ticks, y_ticks)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value, apart from one another even where all are equal."""
    low, high = float(values.min()), float(values.max())
    if math.isclose(low, high, rel_tol=1e-12, abs_tol=1e-12):
        return low - 0.5, high + 0.5
    return low, high
