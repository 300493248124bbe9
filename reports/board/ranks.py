"""Ranks and gains: which differences between rows are more than chance.

Rank = 1 + the number of rows that are significantly better (docs/explanation/comparability.md). The rule is
`bench.metrics.uncertainty`'s, on the paired bootstrap draws of two rows: Student's t of the difference over
the standard deviation of the drawn differences, and its 95 % interval must lie on one side of zero as well.
The tail of t is what Holm corrects, not the share of draws beyond zero: that share is at least 2 / (R + 1),
and with R = 1,000 draws and eight rows Holm's first step already asks for less. Family: all pairs of rows of
a column.

Metrics of the images themselves keep no draws but state standard errors: there the error of a difference is
the root of the summed squares, as the images of two generators are drawn apart.

Values that are written alike are never told apart, whatever their further digits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.bootstrap import holm
from bench.metrics.one_thread import on_one_blas_thread
from bench.metrics.uncertainty import (
    ALPHA,
    FEWEST,
    StandardError,
    excludes_zero,
    interval,
    p_equal,
    t_tail,
)
from reports.board.cells import Cell
from reports.board.identity import Row


@dataclass(frozen=True)
class Gain:
    """A row minus the baseline of the same column; positive is better, whatever the metric's direction."""

    value: float
    low: float | None
    high: float | None
    significant: bool
    """After Holm's correction over the rows of the column."""
    is_tested: bool = True
    """False where too few images, or none that varied, leave nothing to test."""


def difference_spread(one: Cell, other: Cell) -> StandardError | None:
    """The standard error of one minus the other; None where nothing can be said.

    From paired draws, or else from the standard errors that both rows state, taken as independent: two
    generators' images are. Its degrees of freedom are the lesser of both.
    """
    if one.spread is None or other.spread is None:
        return None
    df = min(one.spread.df, other.spread.df)
    if one.draws is None or other.draws is None:
        return StandardError(math.hypot(one.spread.error, other.spread.error), df)
    differences = _paired(one, other)
    finite = differences[np.isfinite(differences)]
    if len(finite) < max(2, len(differences) / 2):
        return None
    return StandardError(float(np.std(finite)), df)


def _paired(one: Cell, other: Cell) -> np.ndarray:
    assert one.draws is not None and other.draws is not None
    count = min(len(one.draws), len(other.draws))
    return one.draws[:count] - other.draws[:count]


def difference_p(one: Cell, other: Cell) -> float | None:
    """Two-sided p of "both are equal"; None where nothing can be said."""
    if one.value is None or other.value is None:
        return None
    spread = difference_spread(one, other)
    return None if spread is None else p_equal(one.value - other.value, spread)


def difference_bounds(one: Cell, other: Cell, sign: int = 1) -> tuple[float, float] | None:
    """The 95% interval of one minus other, paired where both have draws; None where nothing is known."""
    spread = difference_spread(one, other)
    if spread is None or one.value is None or other.value is None:
        return None
    has_draws = one.draws is not None and other.draws is not None
    draws = sign * _paired(one, other) if has_draws else None
    return interval(sign * (one.value - other.value), spread, draws)


def differ(p_values: Sequence[float], bounds: Callable[[int], tuple[float, float] | None]) -> list[bool]:
    """Which pairs differ, with a family-wise error of ALPHA; `bounds(i)` is the interval of pair i."""
    if not p_values:
        return []
    return [bool(p <= ALPHA) and excludes_zero(bounds(i)) for i, p in enumerate(holm(p_values))]


def ranks(cells: Mapping[Row, Cell], sign: int, text: Callable[[float], str] | None = None) -> dict[Row, int]:
    """Rank of each row that has draws or states an error; empty where fewer than two can be compared.

    text: how a value is written.
    """
    rows = [row for row, cell in cells.items() if cell.status == "ok" and cell.spread is not None]
    if len(rows) < 2:
        return {}
    line = [cells[row] for row in rows]
    one, other = np.triu_indices(len(rows), 1)
    p = pair_p(line, one, other)
    is_tested = ~np.isnan(p)
    if not is_tested.any():
        return {}
    one, other = one[is_tested], other[is_tested]
    differs = np.array(
        differ(list(p[is_tested]), lambda pair: difference_bounds(line[one[pair]], line[other[pair]])),
        dtype=bool,
    )
    if text is not None:
        texts = np.array([text(cell.value or 0.0) for cell in line])
        differs &= texts[one] != texts[other]
    values = np.array([cells[row].value for row in rows], dtype=np.float64)
    ahead = sign * (values[one] - values[other]) > 0
    worse = np.where(ahead, other, one)[differs]
    better_than = np.bincount(worse, minlength=len(rows))
    return {row: 1 + int(better) for row, better in zip(rows, better_than, strict=True)}


def pair_p(cells: Sequence[Cell], one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`difference_p` of the cells numbered `one` and `other`, float64 [P]; NaN where nothing can be said.

    At once where all draws are finite and as many, pair by pair elsewhere.
    """
    errors = _errors([cell.draws for cell in cells if cell.draws is not None], len(cells), one, other)
    p_values = np.full(len(one), np.nan)
    quick = np.zeros(len(one), dtype=bool)
    if errors is not None:
        values = np.array([np.nan if cell.value is None else cell.value for cell in cells], dtype=np.float64)
        df_of_cell = np.array([0.0 if cell.spread is None else cell.spread.df for cell in cells])
        df = np.minimum(df_of_cell[one], df_of_cell[other])
        quick = (errors > 0) & (df + 1 >= FEWEST) & np.isfinite(values[one]) & np.isfinite(values[other])
        p_values[quick] = 2.0 * t_tail(np.abs(values[one] - values[other])[quick] / errors[quick], df[quick])
    for number in np.flatnonzero(~quick):
        p = difference_p(cells[one[number]], cells[other[number]])
        if p is not None:
            p_values[number] = p
    return p_values


def _errors(draws: Sequence[np.ndarray], rows: int, one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
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
    variances = np.einsum("ij,ij->i", table, table) / (table.shape[1])
    both = variances[one] + variances[other]
    if len(one) > len(table):  # one matrix product for many pairs
        variance = both - 2.0 * (_products(table) / (table.shape[1]))[one, other]
    else:
        gap = table[one] - table[other]
        variance = np.einsum("ij,ij->i", gap, gap) / (table.shape[1])
    return np.sqrt(np.where(variance > 1e-9 * both, variance, 0.0))


@on_one_blas_thread
def _products(table: np.ndarray) -> np.ndarray:
    """Of each row with each row, float64 [R, R]; a page is the same whatever the threads of its machine."""
    return table @ table.T


def gains(
    cells: Mapping[Row, Cell], baseline: Row, sign: int, text: Callable[[float], str] | None = None
) -> dict[Row, Gain]:
    """What each measured row gains over the baseline, with paired intervals. text: how a value is written."""
    base = cells.get(baseline)
    if base is None or base.value is None:
        return {}
    rows = [row for row, cell in cells.items() if row != baseline and cell.value is not None]
    members = [*(cells[row] for row in rows), base]
    p = pair_p(members, np.arange(len(rows)), np.full(len(rows), len(rows)))
    tested = [row for row, p_value in zip(rows, p, strict=True) if not math.isnan(p_value)]
    bounds = {row: difference_bounds(cells[row], base, sign) for row in rows}
    verdicts = differ(
        [p_value for p_value in p if not math.isnan(p_value)], lambda number: bounds[tested[number]]
    )
    differs = dict(zip(tested, verdicts, strict=True))
    gain_of = {}
    for row in rows:
        cell = cells[row]
        low, high = bounds.get(row) or (None, None)
        gain = sign * ((cell.value or 0.0) - base.value)
        is_written_alike = text is not None and text(gain) == text(0.0)
        is_significant = differs.get(row, False) and not is_written_alike
        gain_of[row] = Gain(gain, low, high, is_significant, row in differs)
    return gain_of
