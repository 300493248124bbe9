"""Ranks and gains: which differences between rows are more than chance.

Rank = 1 + the number of rows that are significantly better (docs/explanation/comparability.md). The test is
two-sided on the paired bootstrap draws of two rows: z = difference / standard deviation of the drawn
differences. The normal tail is used, not the share of draws beyond zero: that share is at least 2 / (R + 1),
and with R = 1,000 draws and eight rows Holm's first step already asks for less. Family: all pairs of rows of
a column.

Metrics of the images themselves keep no draws but state standard errors: there z is the difference over the
root of the summed squares, as the images of two generators are drawn apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.bootstrap import holm
from reports.board.cells import WITHIN, Cell, percentiles
from reports.board.identity import Row

ALPHA = 0.05


@dataclass(frozen=True)
class Gain:
    """A row minus the baseline of the same column; positive is better, whatever the metric's direction."""

    value: float
    low: float | None
    high: float | None
    significant: bool
    """After Holm's correction over the rows of the column."""


def difference_p(one: Cell, other: Cell) -> float | None:
    """Two-sided p of "both are equal"; None where nothing can be said.

    From paired draws, or else from the standard errors that both rows state, taken as independent: two
    generators' images are. Errors of 0 on both sides say that nothing was seen to vary, not that it cannot.
    """
    if one.value is None or other.value is None:
        return None
    if one.draws is None or other.draws is None:
        if one.error is None or other.error is None:
            return None
        if one.value == other.value:
            return 1.0
        spread = math.hypot(one.error, other.error)
        return math.erfc(abs(one.value - other.value) / spread / math.sqrt(2)) if spread else None
    count = min(len(one.draws), len(other.draws))
    differences = one.draws[:count] - other.draws[:count]
    differences = differences[np.isfinite(differences)]
    if len(differences) < max(2, count / 2):
        return None
    centred = differences - differences.mean()
    difference, spread = one.value - other.value, math.sqrt(float(centred @ centred) / (len(differences) - 1))
    if spread == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / spread / math.sqrt(2))


def difference_bounds(one: Cell, other: Cell, sign: int = 1) -> tuple[float, float] | None:
    """The 95% interval of one minus other, paired where both have draws; None without draws and errors."""
    if one.draws is not None and other.draws is not None:
        count = min(len(one.draws), len(other.draws))
        return percentiles(sign * (one.draws[:count] - other.draws[:count]))
    if one.error is None or other.error is None or one.value is None or other.value is None:
        return None
    middle, half = sign * (one.value - other.value), WITHIN * math.hypot(one.error, other.error)
    return middle - half, middle + half


def differ(p_values: Sequence[float]) -> list[bool]:
    """Which pairs differ, with a family-wise error of ALPHA."""
    return [bool(p <= ALPHA) for p in holm(p_values)] if p_values else []


def ranks(cells: Mapping[Row, Cell], sign: int) -> dict[Row, int]:
    """Rank of each row that has draws or states an error; empty where fewer than two can be compared."""
    rows = [
        row
        for row, cell in cells.items()
        if cell.status == "ok" and (cell.draws is not None or cell.error is not None)
    ]
    if len(rows) < 2:
        return {}
    one, other = np.triu_indices(len(rows), 1)
    p = pair_p([cells[row] for row in rows], one, other)
    is_tested = ~np.isnan(p)
    one, other = one[is_tested], other[is_tested]
    differs = np.array(differ(list(p[is_tested])), dtype=bool)
    values = np.array([cells[row].value for row in rows], dtype=np.float64)
    ahead = sign * (values[one] - values[other]) > 0
    worse = np.where(ahead, other, one)[differs]
    better_than = np.bincount(worse, minlength=len(rows))
    return {row: 1 + int(better) for row, better in zip(rows, better_than, strict=True)}


def pair_p(cells: Sequence[Cell], one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`difference_p` of the cells numbered `one` and `other`, float64 [P]; NaN where nothing can be said.

    At once where all draws are finite and as many, pair by pair elsewhere.
    """
    spreads = _spreads([cell.draws for cell in cells if cell.draws is not None], len(cells), one, other)
    p_values = np.full(len(one), np.nan)
    quick = np.zeros(len(one), dtype=bool)
    if spreads is not None:
        values = np.array([np.nan if cell.value is None else cell.value for cell in cells], dtype=np.float64)
        quick = (spreads > 0) & np.isfinite(values[one]) & np.isfinite(values[other])
        scaled = np.abs(values[one] - values[other])[quick] / spreads[quick] / math.sqrt(2)
        p_values[quick] = [math.erfc(z) for z in scaled]
    for number in np.flatnonzero(~quick):
        p = difference_p(cells[one[number]], cells[other[number]])
        if p is not None:
            p_values[number] = p
    return p_values


def _spreads(draws: Sequence[np.ndarray], rows: int, one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Standard deviation of the difference of the draws of rows `one` and `other`, float64 [P], or None.

    None where not every row has draws, or they are not all finite and as many; 0 where two rows' draws lie so
    close together that rounding would decide.
    """
    if len(draws) != rows or len({len(of_row) for of_row in draws}) != 1 or len(draws[0]) < 2:
        return None
    table = np.stack(draws)
    if not np.isfinite(table).all():
        return None
    table -= table.mean(axis=1, keepdims=True)
    variances = np.einsum("ij,ij->i", table, table) / (table.shape[1] - 1)
    both = variances[one] + variances[other]
    if len(one) > len(table):  # one matrix product for many pairs
        variance = both - 2.0 * (table @ table.T / (table.shape[1] - 1))[one, other]
    else:
        gap = table[one] - table[other]
        variance = np.einsum("ij,ij->i", gap, gap) / (table.shape[1] - 1)
    return np.sqrt(np.where(variance > 1e-9 * both, variance, 0.0))


def gains(cells: Mapping[Row, Cell], baseline: Row, sign: int) -> dict[Row, Gain]:
    """What each measured row gains over the baseline, with paired intervals."""
    base = cells.get(baseline)
    if base is None or base.value is None:
        return {}
    rows = [row for row, cell in cells.items() if row != baseline and cell.value is not None]
    members = [*(cells[row] for row in rows), base]
    p = pair_p(members, np.arange(len(rows)), np.full(len(rows), len(rows)))
    tested = [row for row, p_value in zip(rows, p, strict=True) if not math.isnan(p_value)]
    differs = dict(zip(tested, differ([p_value for p_value in p if not math.isnan(p_value)]), strict=True))
    gain_of = {}
    for row in rows:
        cell = cells[row]
        low, high = (difference_bounds(cell, base, sign) if row in differs else None) or (None, None)
        gain_of[row] = Gain(sign * ((cell.value or 0.0) - base.value), low, high, differs.get(row, False))
    return gain_of
