"""Training curves as geometry for inline SVG: one panel a detector, category and column of its trace."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.results import Trace
from reports.identity import MIX_ORDER

WIDTH, HEIGHT = 300, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 22
POINTS = 90
COLOURS = 8
"""How many line colours the page's style defines."""


Curve = tuple[Trace, np.ndarray, np.ndarray]
"""A trace with the steps and values of one of its columns, finite ones only."""


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


@dataclass(frozen=True)
class Key:
    """What a colour means."""

    generator: str
    mix: str
    colour: int


def _row(trace: Trace) -> tuple[int, str, str]:
    position = MIX_ORDER.index(trace.mix) if trace.mix in MIX_ORDER else len(MIX_ORDER)
    return position, trace.mix, trace.generator


def key(traces: Sequence[Trace]) -> tuple[Key, ...]:
    """The colours of all panels, one a row of the leaderboard."""
    rows = sorted({_row(trace) for trace in traces})
    return tuple(Key(generator, mix, i % COLOURS) for i, (_, mix, generator) in enumerate(rows))


def panels(traces: Sequence[Trace]) -> tuple[Panel, ...]:
    """Panels in order of detector, category and column; a colour means the same row in all of them."""

    def place(entry: tuple[Trace, str]) -> tuple[str, str, str]:
        trace, column = entry
        return trace.detector, trace.category, column

    colour = {(each.generator, each.mix): each.colour for each in key(traces)}
    entries = [(trace, column) for trace in traces for column in trace.columns if column != "step"]
    entries.sort(key=lambda entry: (place(entry), _row(entry[0]), entry[0].seed))
    curves: dict[tuple[str, str, str], list[Curve]] = {}
    for trace, column in entries:
        values = np.asarray(trace.columns[column], dtype=np.float64)
        steps = np.asarray(trace.columns.get("step", np.arange(len(values))), dtype=np.float64)
        keep = np.isfinite(values) & np.isfinite(steps)
        if keep.any():
            curves.setdefault(place((trace, column)), []).append((trace, steps[keep], values[keep]))
    spans: dict[str, list[np.ndarray]] = {}
    for (_, _, column), members in curves.items():
        spans.setdefault(column, []).extend(values for _, _, values in members)
    # One kind of axis for a column everywhere, so that panels can be compared.
    wide = {column: _spans_decades(np.concatenate(values)) for column, values in spans.items()}
    return tuple(
        _panel(names, wide[names[2]], members, [colour[each.generator, each.mix] for each, _, _ in members])
        for names, members in curves.items()
    )


def _spans_decades(values: np.ndarray) -> bool:
    return bool(values.min() > 0 and values.max() / values.min() > 30)


def _thinned(values: np.ndarray) -> np.ndarray:
    """At most POINTS values, each the mean of a run of neighbours."""
    if len(values) <= POINTS:
        return values
    starts = np.linspace(0, len(values), POINTS, endpoint=False).astype(int)
    return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def _panel(
    names: tuple[str, str, str], logarithmic: bool, curves: Sequence[Curve], colours: Sequence[int]
) -> Panel:
    first, last = _range(np.concatenate([steps for _, steps, _ in curves]))
    drawn = [(_thinned(steps), _thinned(values)) for _, steps, values in curves]
    heights = np.concatenate([values for _, values in drawn])
    lowest, highest = _range(np.log10(heights) if logarithmic else heights)

    def x(step: Any) -> Any:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(height: Any) -> Any:
        return TOP + (highest - height) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)

    def points(steps: np.ndarray, values: np.ndarray) -> str:
        places = zip(x(steps), y(np.log10(values) if logarithmic else values), strict=True)
        return " ".join(f"{px:.1f},{py:.1f}" for px, py in places)

    lines = tuple(
        Line(trace.generator, trace.mix, trace.seed, colour, points(*line), f"{values[-1]:.3g}")
        for (trace, _, values), line, colour in zip(curves, drawn, colours, strict=True)
    )
    y_ticks = tuple(
        Tick(round(float(y(mark)), 1), f"{10**mark if logarithmic else mark:.3g}")
        for mark in np.linspace(lowest, highest, 3)
    )
    x_ticks = tuple(Tick(round(float(x(mark)), 1), f"{mark:.6g}") for mark in (first, last))
    return Panel(*names, logarithmic, lines, x_ticks, y_ticks)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value, apart from one another even where all are equal."""
    low, high = float(values.min()), float(values.max())
    if math.isclose(low, high, rel_tol=1e-12, abs_tol=1e-12):
        room = abs(low) / 2 or 0.5
        return low - room, high + room
    return low, high
