"""Training curves as geometry for inline SVG: one panel per detector, category and column of its trace."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.results.run import Trace
from reports.site.svg_lines import PlotLine, Tick, colours, row_order

WIDTH, HEIGHT = 300, 150
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 8, 22
POINTS = 90


@dataclass(frozen=True)
class _Curve:
    """One column of a trace, finite values only."""

    trace: Trace
    steps: np.ndarray
    """At most POINTS, as `values`."""
    values: np.ndarray
    ends: tuple[float, float]
    """The first and the last step."""
    range: tuple[float, float]
    """The lowest and the highest value."""
    last: float


@dataclass(frozen=True)
class Panel:
    detector: str
    category: str
    column: str
    logarithmic: bool
    lines: tuple[PlotLine, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def panels(traces: Sequence[Trace]) -> tuple[Panel, ...]:
    """Panels in order of detector, category and column; a colour means the same row in all of them."""

    def panel_of(entry: tuple[str, _Curve]) -> tuple[str, str, str]:
        column, curve = entry
        return curve.trace.detector, curve.trace.category, column

    colour = colours(traces)
    entries = [(column, curve) for trace in traces for column, curve in _curves(trace)]
    entries.sort(key=lambda entry: (panel_of(entry), row_order(entry[1].trace), entry[1].trace.seed))
    curves: dict[tuple[str, str, str], list[_Curve]] = {}
    spans: dict[str, list[float]] = {}
    for column, curve in entries:
        curves.setdefault(panel_of((column, curve)), []).append(curve)
        spans.setdefault(column, []).extend(curve.range)
    # One kind of axis for a column everywhere, so that panels can be compared.
    wide = {column: min(ends) > 0 and max(ends) / min(ends) > 30 for column, ends in spans.items()}
    return tuple(
        _panel(names, wide[names[2]], members, [colour[c.trace.generator, c.trace.mix] for c in members])
        for names, members in curves.items()
    )


def _curves(trace: Trace) -> Iterator[tuple[str, _Curve]]:
    """The columns of a trace with what a panel needs of each: one may be longer than all that is drawn."""
    columns = dict(trace.columns)
    for column, traced in columns.items():
        values = np.asarray(traced, dtype=np.float64)
        steps = np.asarray(columns.get("step", np.arange(len(values))), dtype=np.float64)
        keep = np.isfinite(values) & np.isfinite(steps)
        if column != "step" and keep.any():
            steps, values = steps[keep], values[keep]
            yield (
                column,
                _Curve(
                    trace, _thinned(steps), _thinned(values), _ends(steps), _ends(values), float(values[-1])
                ),
            )


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _thinned(values: np.ndarray) -> np.ndarray:
    """At most POINTS values, each the mean of a run of neighbours."""
    if len(values) <= POINTS:
        return values
    starts = np.linspace(0, len(values), POINTS, endpoint=False).astype(int)
    return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def _panel(
    names: tuple[str, str, str], logarithmic: bool, curves: Sequence[_Curve], colours: Sequence[int]
) -> Panel:
    first, last = _range(np.array([curve.ends for curve in curves]))
    heights = np.concatenate([curve.values for curve in curves])
    lowest, highest = _range(np.log10(heights) if logarithmic else heights)

    def x(step: Any) -> Any:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(height: Any) -> Any:
        return TOP + (highest - height) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)

    def points(steps: np.ndarray, values: np.ndarray) -> str:
        pixels = zip(x(steps), y(np.log10(values) if logarithmic else values), strict=True)
        return " ".join(f"{px:.1f},{py:.1f}" for px, py in pixels)

    lines = tuple(
        PlotLine(
            *(curve.trace.generator, curve.trace.mix, curve.trace.seed, colour),
            points(curve.steps, curve.values),
            f"{curve.last:.3g}",
        )
        for curve, colour in zip(curves, colours, strict=True)
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
