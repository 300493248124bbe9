"""What a paper says of how a number came about: rules in TOML, the later one wins.

    [[facts]]
    where = { level = ["image", "pixel"], detector = "lfd" }
    selection = "fixed-epoch"
    caveat = "the epoch differs by data set"

`where` names columns of the CSV; a rule without it holds for all. Caveats add up, all else is overwritten.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.record.record import UNKNOWN, UNKNOWN_COUNT

COLUMNS = (
    *("paper", "table", "dataset", "category", "generator", "detector"),
    *("level", "metric", "value", "note"),
)
"""The columns of a paper's CSV, in this order."""
REQUIRED = (
    *("split", "shots", "resolution", "modality", "generated_per_type", "mix", "scope", "selection"),
    *("dialect", "features", "weights_sha256", "reference", "unit", "digits"),
)
"""Facts that every value must have, be it "unknown"."""

Count = int | Literal["unknown"]


class FactRule(BaseModel):
    """Facts that hold where a row of the CSV has these entries; None leaves a fact as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: Mapping[str, str | Sequence[str]] = {}
    caveat: str = ""
    protocols: Sequence[str] | None = None
    """The protocols of this project that ask what the table asks."""
    digits: int | None = Field(default=None, ge=0, le=9)
    """Digits after the point as printed, which the CSV does not keep."""
    quoted: bool | None = None
    """Whether the paper took the number from another one."""

    split: str | None = None
    shots: str | None = None
    resolution: Count | None = None
    modality: str | None = None
    generated_per_type: Count | None = None
    mix: str | None = None
    scope: str | None = None
    selection: str | None = None
    dialect: str | None = None
    features: str | None = None
    weights_sha256: str | None = None
    reference: str | None = None
    unit: Literal["fraction", "percent", "1", "h", "ms"] | None = None
    direction: Literal["higher", "lower"] | None = None
    level: str | None = None
    """Where the project files the metric under another level than the paper's table."""
    generator: str | None = None
    generator_variant: str | None = None
    detector: str | None = None
    detector_variant: str | None = None

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a row of the CSV has all that `where` asks for."""
        return all(row[column] in _listed(names) for column, names in self.where.items())

    @property
    def stated(self) -> dict[str, Any]:
        """The facts that this rule states, by name; unknown counts as records write them."""
        facts = self.model_dump(exclude_none=True, exclude={"where", "caveat"})
        counts = {"resolution", "generated_per_type"}
        return {
            name: UNKNOWN_COUNT if name in counts and value == UNKNOWN else value
            for name, value in facts.items()
        }


def resolver(
    rules: Sequence[FactRule],
) -> Callable[[Mapping[str, str]], tuple[dict[str, Any], tuple[str, ...]]]:
    """A function from a row of the CSV to its facts and its caveats."""
    prepared = [
        (
            [(column, frozenset(_listed(names))) for column, names in rule.where.items()],
            rule.stated,
            rule.caveat,
        )
        for rule in rules
    ]

    def resolve(row: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
        facts: dict[str, Any] = {}
        caveats = []
        for where, stated, caveat in prepared:
            if all(row[column] in names for column, names in where):
                facts.update(stated)
                if caveat:
                    caveats.append(caveat)
        return facts, tuple(caveats)

    return resolve


def unmatched(rules: Iterable[FactRule], rows: Sequence[Mapping[str, str]]) -> str:
    """The first entry of a `where` that no row of the CSV has, in words; "" where all have a meaning."""
    for rule in rules:
        for column, names in rule.where.items():
            if column not in COLUMNS:
                return f"'{column}' is not a column of the CSV; columns are {', '.join(COLUMNS)}"
            values = {row[column] for row in rows}
            for entry in _listed(names):
                if entry not in values:
                    return f"no row of the CSV has the {column} '{entry}'"
        if not any(rule.holds(row) for row in rows):
            return f"no row of the CSV has all of {dict(rule.where)}"
    return ""


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names
