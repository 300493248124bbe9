"""A paper's tables: a CSV with one printed value per row, a TOML with the facts of each table's protocol."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.data.published_counts import PublishedCounts, load_counts
from bench.errors import BenchError
from bench.published.facts import COLUMNS, REQUIRED, FactRule, resolver, unmatched
from bench.toml import parse_toml


class TableFacts(BaseModel):
    """What one table is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str


class PaperFacts(BaseModel):
    """A paper's TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str
    """The word in the CSV's first column."""
    title: str
    short: str
    """The paper's name as a page shows it."""
    counts: Mapping[str, str] = {}
    """Data set to the TOML of its published counts (`bench.data.published_counts`), beside this file."""
    tables: Mapping[str, TableFacts]
    facts: tuple[FactRule, ...]


@dataclass(frozen=True)
class Value:
    """One printed number and what is known of it."""

    row: Mapping[str, str]
    """The line of the CSV, by the names of its columns."""
    line: int
    table: str
    """ "SeaS, Table 22"."""
    facts: Mapping[str, Any]
    """Stated facts by name; see `bench.published.facts.FactRule`."""
    caveats: tuple[str, ...]

    @property
    def printed(self) -> float:
        """The number in the table's own unit: percent for rates of most papers."""
        return float(self.row["value"])

    @property
    def text(self) -> str:
        """The number as it stands in the table."""
        return f"{self.printed:.{self.facts['digits']}f}"

    @property
    def half_step(self) -> float:
        """Half of the last printed digit: the true value is within this of the printed one."""
        return 0.5 * 10.0 ** -self.facts["digits"]


@dataclass(frozen=True)
class Paper:
    """One paper: its facts and all values of its tables, in the order of the CSV."""

    name: str
    title: str
    short: str
    tables: Mapping[str, str]
    """Number of a table to its title."""
    values: tuple[Value, ...]
    counts: Mapping[str, PublishedCounts] = field(default_factory=dict)
    """Images of each category, by data set, where they are published."""


def load_paper(path: Path) -> Paper:
    """Read NAME.toml and the NAME.csv beside it.

    Raises BenchError that names the file, the line and the mend: a column that is missing, a value that is
    no number, a number printed twice in one cell, a table without a title, a fact that no rule states.
    """
    facts = _facts(path)
    table = path.with_suffix(".csv")
    rows = _rows(table, facts.paper)
    wrong = unmatched(facts.facts, rows)
    if wrong:
        raise BenchError(f"{path}: where: {wrong}; correct the rule, or take it out")
    values = []
    resolve = resolver(facts.facts)
    for number, row in enumerate(rows, start=2):
        stated, caveats = resolve(row)
        lacking = [name for name in REQUIRED if name not in stated]
        if lacking:
            raise BenchError(
                f"{path} states no {lacking[0]} for line {number} of {table.name} (table {row['table']}, "
                f'{row["level"]} {row["metric"]}); add a [[facts]] rule, {lacking[0]} = "unknown" if the '
                "paper does not say"
            )
        note = (row["note"],) if row["note"] else ()
        values.append(Value(row, number, f"{facts.short}, Table {row['table']}", stated, (*note, *caveats)))
    numbers = {row["table"] for row in rows}
    for missing in sorted(numbers - set(facts.tables)):
        raise BenchError(f"{path} has no title for table {missing}; add [tables.{missing}] title = ...")
    for extra in sorted(set(facts.tables) - numbers):
        raise BenchError(f"{path} names table {extra}, of which {table.name} has no row")
    titles = {number: facts.tables[number].title for number in facts.tables}
    counts = {dataset: _counts(path.parent / name) for dataset, name in facts.counts.items()}
    return Paper(facts.paper, facts.title, facts.short, titles, tuple(values), counts)


def _counts(path: Path) -> PublishedCounts:
    try:
        return load_counts(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"the counts {path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise BenchError(f"{path} is not a table of published counts: {error}") from None


def _facts(path: Path) -> PaperFacts:
    try:
        return PaperFacts(**parse_toml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BenchError(f"{path}: {where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise BenchError(f"{path} is not valid TOML: {error}") from None


def _rows(path: Path, paper: str) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise BenchError(f"{path}: the first line must be {','.join(COLUMNS)}")
            rows = list(reader)
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise BenchError(f"{path} is no CSV in UTF-8: {error}") from None
    cells: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows, start=2):
        _check(path, number, row, paper)
        # a note parts cells that the other columns do not, such as modalities
        cell = tuple(row[name] for name in COLUMNS if name != "value")
        if cell in cells:
            raise BenchError(f"{path} line {number} is the cell of line {cells[cell]} again; keep one")
        cells[cell] = number
    if not rows:
        raise BenchError(f"{path} holds no value")
    return rows


def _check(path: Path, number: int, row: Mapping[Any, Any], paper: str) -> None:
    if None in row or None in row.values():
        raise BenchError(f"{path} line {number} does not have {len(COLUMNS)} entries")
    if row["paper"] != paper:
        raise BenchError(f"{path} line {number} is of the paper '{row['paper']}', not '{paper}'")
    empty = [
        name for name in ("table", "dataset", "category", "generator", "level", "metric") if not row[name]
    ]
    if empty:
        raise BenchError(f"{path} line {number} has no {empty[0]}")
    try:
        finite = math.isfinite(float(row["value"]))
    except ValueError:
        finite = False
    if not finite:
        raise BenchError(f"{path} line {number}: the value '{row['value']}' is not a number")
