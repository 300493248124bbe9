"""What a gate found: one verdict a metric, the causes that are likely, and the exit code of it all."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Status = Literal[
    "same", "within", "loss", "gain", "failed", "missing", "incomparable", "unclear", "new", "ignored"
]
MOVED: tuple[Status, ...] = ("loss", "gain", "failed")
UNDECIDED: tuple[Status, ...] = ("missing", "incomparable", "unclear")
CauseKind = Literal[
    "metric",
    "version",
    "parameters",
    "data",
    "split",
    "weights",
    "seeds",
    "environment",
    "code",
    "protocol",
    "unknown",
]


class Exit(IntEnum):
    """Exit codes of `bench gate`."""

    PASS = 0
    REGRESSION = 1
    CANNOT_TELL = 2


@dataclass(frozen=True)
class Cause:
    """Something recorded that differs between a run and its baseline."""

    kind: CauseKind
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What became of one metric, or of one speed ratio.

    change: new minus old, positive where better; allowed: how much may be lost; p: adjusted by Holm's method
    over the gated family, for stochastic metrics only. visible: the least loss that their test finds.
    """

    cell: str
    measure: str
    status: Status
    rule: str
    reason: str
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    change: float | None = None
    allowed: float | None = None
    p: float | None = None
    visible: float | None = None
    causes: tuple[Cause, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.cell}: {self.measure}"


@dataclass(frozen=True)
class Judgment:
    """All verdicts of a gate."""

    verdicts: tuple[Verdict, ...]

    def of(self, *statuses: Status) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.status in statuses)

    @property
    def gated(self) -> tuple[Verdict, ...]:
        """All that could have turned the gate red."""
        return tuple(verdict for verdict in self.verdicts if verdict.status not in ("new", "ignored"))

    @property
    def exit(self) -> Exit:
        """A loss, a gain or a failure is 1; a gate that could not look at something, or at nothing, is 2."""
        if self.of(*MOVED):
            return Exit.REGRESSION
        return Exit.CANNOT_TELL if self.of(*UNDECIDED) or not self.gated else Exit.PASS

    @property
    def causes(self) -> Sequence[tuple[Cause, int]]:
        """Likely causes of all that is not as it was, with how many metrics each may explain, most first."""
        counted: dict[Cause, int] = {}
        for verdict in self.of(*MOVED, *UNDECIDED):
            for cause in verdict.causes:
                counted[cause] = counted.get(cause, 0) + 1
        return sorted(counted.items(), key=lambda item: -item[1])
