"""Cells of a leaderboard: the value, the interval and the draws of one row in one column.

A value is the mean over seeds of a category, then the mean over categories. Its interval is
`bench.metrics.uncertainty`'s, of the same mean over bootstrap draws: draw r takes replicate r of the test
images of every category and, where there are several seeds, a resample of the seeds that all rows share. So
the difference of two rows' draws is paired. The draws are as wide as the standard errors that records state,
and the degrees of freedom those of all categories (and seeds) together.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from bench.metrics.uncertainty import (
    SHARE,
    UNKNOWN,
    Bounds,
    StandardError,
    interval,
    joint_df,
    spread_of_average,
    widened,
)
from bench.record.record import Record, unknown_of, why_different
from bench.streams import stream
from reports.board.comparable import incomparable
from reports.board.identity import Column, Row

Replicates = Callable[[str], Mapping[str, np.ndarray]]
DrawsOf = Callable[[str], np.ndarray | None]
"""Scoring task to the draws that it kept of one column, float64 [R]."""
CellStatus = Literal["ok", "undefined", "skipped", "failed", "incomparable", "missing"]

SEEDS_ALONE = "bootstrap over seeds"
SEED_DRAWS = 1000
"""Draws where only seeds are resampled."""
_WORST_FIRST: tuple[CellStatus, ...] = ("failed", "skipped", "incomparable", "undefined", "missing")


@dataclass(frozen=True)
class Cell:
    """What stands in one cell, or why nothing does."""

    status: CellStatus
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    """How the interval was made; "" where there is none."""
    categories: int = 0
    """How many categories the mean is over."""
    of_categories: int = 0
    reasons: tuple[str, ...] = ()
    """Why there is no value, or, beside one, what of it is unknown."""
    rank: int | None = None
    draws: np.ndarray | None = field(default=None, compare=False, repr=False)
    """float64 [R], paired with the draws of every other row of the column."""
    spread: StandardError | None = None
    """The standard error of the value; None where nothing states one."""

    @property
    def is_comparable(self) -> bool:
        """Whether there is a value that may be ranked and counted from; unknown equals nothing."""
        return self.status == "ok" and not self.reasons


@dataclass(frozen=True)
class Grid:
    """The records of one column by row, category and seed, and what the data itself leaves undefined."""

    records: Mapping[Row, Mapping[tuple[str, int], Record]]
    """By row, and by category and seed."""
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: frozenset[tuple[str, int]]
    """(category, seed) where no row has a value and the metric is undefined."""
    odd: Mapping[Record, tuple[str, ...]]
    """Records that may not stand in the column, with the reasons."""
    unknown: Mapping[Record, str]
    """What is unknown of the records of which something is."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Grid":
        grid: dict[Row, dict[tuple[str, int], Record]] = {}
        rivals: dict[Record, tuple[str, ...]] = {}
        for record in records:
            first = grid.setdefault(Row.of(record), {}).setdefault((record.category, record.seed), record)
            if first is not record and first != record and (reasons := _why_rivals(first, record)):
                rivals[first] = (*rivals.get(first, ()), *reasons)
        statuses_of: dict[tuple[str, int], set[str]] = {}
        for line in grid.values():
            for position, record in line.items():
                statuses_of.setdefault(position, set()).add(record.status)
        return cls(
            records=grid,
            categories=tuple(sorted({category for category, _ in statuses_of})),
            seeds=tuple(sorted({seed for _, seed in statuses_of})),
            left_out=frozenset(
                position
                for position, statuses in statuses_of.items()
                if "undefined" in statuses and "ok" not in statuses
            ),
            odd={**incomparable(record for line in grid.values() for record in line.values()), **rivals},
            unknown={
                record: clause
                for line in grid.values()
                for record in line.values()
                if record.status == "ok" and (clause := unknown_of(record))
            },
        )

    def status(self, row: Row, category: str, seed: int) -> tuple[CellStatus, str]:
        record = self.records[row].get((category, seed))
        if record is None:
            return "missing", "not run"
        if self.odd and record in self.odd:
            return "incomparable", "; ".join(self.odd[record])
        if record.status == "ok" and (record.value is None or not math.isfinite(record.value)):
            return "failed", f"recorded as ok with the value {record.value}"
        return record.status, record.note


def _why_rivals(one: Record, other: Record) -> tuple[str, ...]:
    """Why two records of one cell cannot both be shown; empty where they say the same."""
    reasons = tuple(f"a second record differs: {reason}" for reason in why_different(other, one))
    if not reasons and (one.value, one.status) != (other.value, other.status):
        reasons = (f"two records of this cell disagree: {one.value} and {other.value}",)
    return reasons


def row_cell(grid: Grid, row: Row, categories: Sequence[str], draws_of: DrawsOf | None) -> Cell:
    """The cell of a row over these categories; void if any of its values is missing for any reason.

    Without `drawn` the value stands alone, with neither interval nor error.
    """
    needed = [(c, s) for c in categories for s in grid.seeds if (c, s) not in grid.left_out]
    used = tuple(dict.fromkeys(category for category, _ in needed))
    blank = Cell("undefined", categories=len(used), of_categories=len(categories))
    faults: dict[CellStatus, dict[str, list[str]]] = {}
    for category, seed in ((c, s) for c in categories for s in grid.seeds):
        status, note = grid.status(row, category, seed)
        excused = (category, seed) in grid.left_out and status not in ("failed", "skipped")
        if status != "ok" and not excused:
            faulty = faults.setdefault(status, {}).setdefault(note, [])
            if category not in faulty:
                faulty.append(category)
    if faults:
        worst = min(faults, key=_WORST_FIRST.index)
        reasons = tuple(
            f"{', '.join(faulty)}: {note}" if len(categories) > 1 else note
            for status in sorted(faults, key=_WORST_FIRST.index)
            for note, faulty in sorted(faults[status].items())
        )
        return replace(blank, status=worst, reasons=reasons)

    if not needed:
        notes = (grid.status(row, c, s)[1] for c in categories for s in grid.seeds)
        return replace(blank, reasons=tuple(sorted({note for note in notes if note})))
    members = [[grid.records[row].get((c, s)) for s in grid.seeds] for c in used]
    present = np.array([[(c, s) not in grid.left_out for s in grid.seeds] for c in used])  # (C, S)
    values = np.array(
        [
            [
                record.value if record is not None and is_present else 0.0
                for record, is_present in zip(line, mask, strict=True)
            ]
            for line, mask in zip(members, present, strict=True)
        ],
        dtype=np.float64,
    )
    value = float(np.mean((values * present).sum(1) / present.sum(1)))
    alone = Cell("ok", value, categories=len(used), of_categories=len(categories))
    if grid.unknown:
        alone = replace(alone, reasons=_unknown(grid, members))
    if draws_of is None:
        return alone
    bounds = SHARE if _is_share(members) else None
    spread: StandardError | None
    draws, spread, how = _draws(members, values, present, grid.seeds, draws_of)
    if draws is None:
        spread = _stated_spread(members)
        ends, how = _stated_interval(members, value, spread, bounds)
    else:
        ends = interval(value, spread, draws, bounds)
    if how == SEEDS_ALONE:
        # Three seeds make an interval of sorts, but no test of a difference.
        draws, spread = None, None
    low, high = ends or (None, None)
    return replace(alone, low=low, high=high, interval=how, draws=draws, spread=spread)


def _unknown(grid: Grid, members: Sequence[Sequence[Record | None]]) -> tuple[str, ...]:
    """What is unknown of the records that a value is the mean of, each clause once."""
    clauses = (grid.unknown.get(record) for line in members for record in line if record is not None)
    return tuple(dict.fromkeys(filter(None, clauses)))


def _is_share(members: Sequence[Sequence[Record | None]]) -> bool:
    return all(record.unit == "fraction" for line in members for record in line if record is not None)


def _draws(
    members: Sequence[Sequence[Record | None]],
    values: np.ndarray,
    present: np.ndarray,
    seeds: tuple[int, ...],
    draws_of: DrawsOf,
) -> tuple[np.ndarray | None, StandardError, str]:
    """Draws of the mean, float64 [R], its spread, and what was resampled; None where nothing can be."""
    several = len(seeds) > 1
    draws = {
        (i, j): draws_of(record.task)
        for i, line in enumerate(members)
        for j, record in enumerate(line)
        if record is not None and present[i, j]
    }
    lengths = [0 if replicates is None else len(replicates) for replicates in draws.values()]
    count = min(lengths)
    dfs = np.full(values.shape, math.inf)
    if count:
        table = np.zeros((*values.shape, count))  # (C, S, R)
        for (i, j), replicates in draws.items():
            record = members[i][j]
            if replicates is None or record is None:
                continue
            resampled = replicates[:count]
            table[i, j], dfs[i, j] = _as_stated(resampled, record)
        how = "bootstrap over images and seeds" if several else "bootstrap over images"
    elif several:
        count = SEED_DRAWS
        table = np.repeat(values[:, :, None], count, axis=2)
        how = SEEDS_ALONE
    else:
        return None, UNKNOWN, ""
    of_category = (table * present[:, :, None]).sum(axis=1) / present.sum(axis=1)[:, None]  # (C, R)
    variances = [_variance(line) for line in of_category]
    least = np.where(present, dfs, math.inf).min(axis=1)
    mean = _mean_over_seeds(table, present, seeds) if several else np.mean(of_category, axis=0)
    if np.isfinite(mean).sum() < max(2, count / 2):
        return None, UNKNOWN, ""
    if (least < 1).any():
        return mean, UNKNOWN, how
    total, df = _variance(mean), joint_df(variances, list(least))
    if several:
        of_images = sum(variances) / len(variances) ** 2
        df = joint_df([of_images, max(total - of_images, 0.0)], [df, len(seeds) - 1])
    return mean, StandardError(math.sqrt(total), df), how


def _mean_over_seeds(table: np.ndarray, present: np.ndarray, seeds: tuple[int, ...]) -> np.ndarray:
    """Draws [R] of the mean of table [C, S, R] over resampled seeds and over categories.

    S seeds drawn from S vary less than the seeds that there are; weights set apart by the root of S / (S - 1)
    make up for it (Rao and Wu 1988, section 2.1).
    """
    weights = _resamples(seeds, table.shape[2])
    times = present.astype(np.int64) @ weights  # (C, R)
    scaled = weights.astype(np.float64)
    if present.all():
        scaled = 1.0 + (scaled - 1.0) * math.sqrt(len(seeds) / (len(seeds) - 1))
    total = np.einsum("csr,cs,sr->cr", table, present.astype(np.float64), scaled)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.mean(total / times, axis=0)


def _variance(draws: np.ndarray) -> float:
    finite = draws[np.isfinite(draws)]
    return float(np.var(finite)) if len(finite) else math.nan


def _as_stated(draws: np.ndarray, record: Record) -> tuple[np.ndarray, float]:
    """The draws of a record about their mean, as wide as the error that it states, and its df.

    Records of older versions state no df: theirs is at most one less than their images.
    """
    if record.df is None:
        return draws, record.n - 1.0 if record.n else math.inf
    return (draws if record.stderr is None else widened(draws, record.stderr)), record.df


@functools.cache
def _resamples(seeds: tuple[int, ...], count: int) -> np.ndarray:
    """How often each seed is in each resample of the seeds, int64 [S, R]."""
    picks = stream("report", "seeds", *seeds).integers(len(seeds), size=(count, len(seeds)))
    return np.stack([(picks == j).sum(1) for j in range(len(seeds))])


def draws_of_column(column: Column, replicates: Replicates) -> DrawsOf:
    """The draws that scoring tasks kept of a column; those of a task are read once."""
    name = f"{column.level}.{column.metric}"
    key = name if column.dialect == "default" else f"{name}@{column.dialect}"

    @functools.cache
    def draws_of_task(task: str) -> np.ndarray | None:
        stored = replicates(task).get(key) if task else None
        return None if stored is None or not len(stored) else np.asarray(stored, dtype=np.float64)

    return draws_of_task


def _stated_spread(members: Sequence[Sequence[Record | None]]) -> StandardError | None:
    """The spread of the mean that records of one seed state themselves; None where one states no error."""
    records = [line[0] for line in members if len(line) == 1 and line[0] is not None]
    if len(records) < len(members) or any(record.stderr is None for record in records):
        return None
    return spread_of_average([StandardError(record.stderr or 0.0, _stated_df(record)) for record in records])


def _stated_df(record: Record) -> float:
    if record.df is not None:
        return record.df
    return record.n - 1.0 if record.n else math.inf


def _stated_interval(
    members: Sequence[Sequence[Record | None]],
    value: float,
    spread: StandardError | None,
    bounds: Bounds | None,
) -> tuple[Bounds | None, str]:
    """The interval that records of one seed state themselves; (None, "") where they state none."""
    if any(len(line) != 1 or line[0] is None for line in members):
        return None, ""
    records = [line[0] for line in members if line[0] is not None]
    first = records[0]
    if len(records) == 1 and first.ci_low is not None and first.ci_high is not None:
        return (first.ci_low, first.ci_high), first.ci_method or "as recorded"
    ends = None if spread is None else interval(value, spread, bounds=bounds)
    return ends, "" if ends is None else "Student's t, from standard errors"
