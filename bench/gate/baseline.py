"""A baseline: the values that a run is checked against, how they came about, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.gate.measured import Value
from bench.gate.metric_key import MetricKey
from bench.gate.rules import Policy, Rule

FORMAT = 1


@dataclass(frozen=True)
class Update:
    """One move of the baseline, and the reason that was given for it."""

    number: int
    date: str
    reason: str
    commit: str
    environment: str
    """Name in `Baseline.environments`."""
    command: str


@dataclass(frozen=True)
class Entry:
    """What one metric was when it was last taken in."""

    update: int
    context: Mapping[str, Value]
    n: int
    unit: str
    values: Mapping[int, float]
    """Seed to value."""
    source: str = ""
    """Digest of the bytes that the values were computed from."""
    past: tuple[tuple[int, tuple[float, ...]], ...] = ()
    """Values of earlier updates that may be compared with these: (update, values), newest first."""


@dataclass(frozen=True)
class Speed:
    """How many times faster than its peer a path was, by update, newest first."""

    ratios: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Baseline:
    """A baseline file."""

    policy: Policy = field(default_factory=Policy)
    rules: tuple[Rule, ...] = ()
    updates: tuple[Update, ...] = ()
    """Newest first."""
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entries: Mapping[MetricKey, Entry] = field(default_factory=dict)
    speeds: Mapping[str, Speed] = field(default_factory=dict)

    def environment(self, update: int) -> Mapping[str, Any]:
        """The environment of an update."""
        return self.environments[self.at(update).environment]

    def at(self, number: int) -> Update:
        """The update of this number."""
        return next(update for update in self.updates if update.number == number)

    def rule(self, key: MetricKey) -> Rule | None:
        """The first rule that covers a metric."""
        return next((rule for rule in self.rules if rule.covers(key)), None)
