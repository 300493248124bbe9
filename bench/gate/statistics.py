"""The test of the stochastic rule: has a mean over seeds fallen by more than a margin?

Several seeds of one run are few, so the standard deviation is pooled: within the baseline's values, within
the new ones, and within those of every earlier update that may be compared. Means may differ between these
groups (the baseline was moved for a reason); only the spread within each is used.

Student 1908; Welch's unpooled test at 3 against 3 seeds has at most 4 degrees of freedom, too few to see a
drop of several standard deviations at the levels that a family of metrics needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

Group = Sequence[float]


@dataclass(frozen=True)
class Spread:
    """Standard deviation of one seed, and how many degrees of freedom its estimate has."""

    sd: float
    df: int


@dataclass(frozen=True)
class Shift:
    """change: new mean minus old mean, positive where better. p_loss and p_gain: one-sided p-values of a loss
    and of a gain beyond the margin. visible: the least loss that is found 9 times in 10 at `level`."""

    change: float
    spread: Spread
    p_loss: float
    p_gain: float
    visible: float


def pooled(groups: Sequence[Group], floor: float = 0.0) -> Spread:
    """The standard deviation within groups of values, at least `floor`; groups of equal values count once.

    A run with the same seeds repeats the same values where nothing changed: no new knowledge of noise.
    """
    distinct = list(dict.fromkeys(tuple(group) for group in groups))
    df = sum(len(group) - 1 for group in distinct if group)
    if df == 0:
        return Spread(floor, 0)
    squares = sum(float(np.sum((np.asarray(group) - np.mean(group)) ** 2)) for group in distinct if group)
    return Spread(max(float(np.sqrt(squares / df)), floor), df)


def shift(
    before: Group,
    after: Group,
    history: Sequence[Group] = (),
    *,
    sign: int = 1,
    margin: float = 0.0,
    floor: float = 0.0,
    level: float = 0.05,
) -> Shift:
    """Test means of at least two values each for a loss, and for a gain, beyond `margin` (0 or above).

    sign: 1 where larger values are better, -1 where smaller ones are. floor: the least standard deviation
    that is believed, for metrics of few images that take few values.
    """
    spread = pooled([*history, before, after], floor)
    change = sign * (float(np.mean(after)) - float(np.mean(before)))
    error = spread.sd * float(np.sqrt(1 / len(before) + 1 / len(after)))
    quantiles = stdtrit(spread.df, 1 - level) + stdtrit(spread.df, 0.9) if spread.df else float("inf")
    return Shift(
        change,
        spread,
        _tail(-change - margin, error, spread.df),
        _tail(change - margin, error, spread.df),
        margin + float(quantiles) * error if error else margin,
    )


def _tail(beyond: float, error: float, df: int) -> float:
    """P(T >= beyond / error) of Student's t; certain where nothing ever varied."""
    if df == 0:
        return 1.0
    if error == 0.0:
        return 0.0 if beyond > 0 else 1.0
    return float(stdtr(df, -beyond / error))
