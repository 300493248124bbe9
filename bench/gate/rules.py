"""Which rule a metric is held to, and the policy of a gate: the part of a baseline file that people write."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.gate.metric_key import MetricKey
from bench.record import catalogue

Kind = Literal["exact", "deterministic", "stochastic", "ignored"]
A_POINT = 0.01
MATCHED = ("level", "metric", "dialect", "category", "defect", "generator", "mix", "detector")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Rule(_Frozen):
    """Patterns (`*`, `?`; a leading ! turns one round) that a metric must match, and what it is held to.

    exact: a pure function of fixed arrays, equal up to 1e-9 everywhere. deterministic: fixed seeds on a CPU,
    equal bits in one environment, within the tolerance in another. stochastic: a GPU or several seeds, no
    loss beyond the margin that chance does not explain; the margin is the tolerance. ignored: not gated.
    """

    rule: Kind
    level: str = "*"
    metric: str = "*"
    dialect: str = "*"
    category: str = "*"
    defect: str = "*"
    generator: str = "*"
    mix: str = "*"
    detector: str = "*"
    tolerance: float = Field(default=0.0, ge=0)
    """In the metric's own unit."""
    relative: float = Field(default=0.0, ge=0)
    """As a part of the baseline's value; added to `tolerance`."""
    why: str = ""

    def covers(self, key: MetricKey) -> bool:
        """Whether every pattern matches."""
        return all(_matches(getattr(self, name), getattr(key, name)) for name in MATCHED)

    def allowed(self, value: float) -> float:
        """Tolerance or margin at a baseline's value."""
        return self.tolerance + self.relative * abs(value)


class Policy(_Frozen):
    """What holds for all metrics of a gate."""

    alpha: float = Field(default=0.002, gt=0, lt=1)
    """Chance that an unchanged run shows a loss in any stochastic metric, and the same again for a gain."""
    seeds: int = Field(default=3, ge=2)
    """The least number of seeds on either side of a stochastic comparison."""
    history: int = Field(default=20, ge=0)
    """Earlier updates whose values a metric keeps, for the pooled standard deviation."""
    slowdown: float = Field(default=1.5, gt=1)
    """A speed ratio may fall to the median of its history over this, and rise to as much above."""


def default_rules(*, several_seeds: bool, gpu: bool, ingested: frozenset[str]) -> tuple[Rule, ...]:
    """The rules of a new baseline: what a run with these facts can be held to.

    ingested: detectors whose maps and scores were made elsewhere, so that only pure metrics are left.
    """
    exact = [
        Rule(rule="exact", detector=name, why="stored predictions, scored by pure functions")
        for name in sorted(ingested)
    ]
    if several_seeds or gpu:
        return (
            *exact,
            Rule(rule="ignored", defect="!all", why="means over types are gated, the types are their parts"),
            Rule(rule="stochastic", level="generation*", metric="*", relative=0.02, why="2 % margin"),
            Rule(rule="stochastic", tolerance=0.005, why="a margin of half a point"),
        )
    return (
        *exact,
        *_own_tolerances(),
        Rule(rule="deterministic", tolerance=A_POINT, why="a point across environments, equal bits in one"),
    )


def _own_tolerances() -> tuple[Rule, ...]:
    """The rules of metrics that vary less, or on another scale, than a point."""
    return tuple(
        Rule(
            rule="deterministic",
            level="generation*",
            metric=metric.name,
            tolerance=metric.tolerance,
            relative=metric.relative,
        )
        for metric in catalogue.metrics().values()
        if (metric.tolerance, metric.relative) != (A_POINT, 0.0) and not metric.unrecorded
    )


def _matches(pattern: str, text: str) -> bool:
    return not fnmatchcase(text, pattern[1:]) if pattern.startswith("!") else fnmatchcase(text, pattern)


def written(model: BaseModel) -> Mapping[str, Any]:
    """What differs from the defaults, for the file."""
    return model.model_dump(exclude_defaults=True)
