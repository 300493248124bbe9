"""Baselines as TOML: what all metrics share stands once, what a cell shares stands in its head, and each
metric is one line, so that a diff shows what moved and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from bench.errors import BenchError
from bench.gate.baseline import FORMAT, Baseline, Entry, Speed, Update
from bench.gate.metric_key import CELL, CONTEXT, MetricKey, by_name
from bench.gate.rules import Policy, Rule, written
from bench.gate.toml_text import line, table
from bench.record.record import Record
from bench.toml import TOMLDecodeError, parse_toml

_HEAD = """\
# A baseline of `bench gate`. Policy and rules are yours to edit. All else moves by
# bench gate --baseline FILE --update --reason "why the numbers may change"
"""
_DEFAULTS = {field.name: field.default for field in fields(Record)}


def render(baseline: Baseline) -> str:
    """The text of a baseline file; `parse` reads it back."""
    parts = [_HEAD, line("format", FORMAT), table("[policy]", baseline.policy.model_dump())]
    parts += [table("[[rules]]", written(rule)) for rule in baseline.rules]
    parts += [table("[[updates]]", asdict(update)) for update in baseline.updates]
    parts += [table(f"[environments.{name}]", facts) for name, facts in sorted(baseline.environments.items())]
    parts += [
        table(f"[methods.{line(name, 0)[:-5]}]", facts) for name, facts in sorted(baseline.methods.items())
    ]
    if baseline.speeds:
        parts.append("\n[speeds]\n")
        parts += [line(name, speed.ratios) for name, speed in sorted(baseline.speeds.items())]
    rows = {key: _row(key, baseline.entries[key]) for key in by_name(baseline.entries)}
    shared = _shared(rows.values())
    if shared:
        parts.append(table("[shared]", shared))
    for _, members in groupby(rows, key=attrgetter(*CELL)):
        parts.append(_cell({key: rows[key] for key in members}, shared))
    return "".join(parts)


def parse(text: str, name: str) -> Baseline:
    """Read a baseline. Raises BenchError that names the file `name` and what is wrong in it."""
    try:
        content = parse_toml(text)
    except TOMLDecodeError as error:
        raise BenchError(f"the baseline {name} is not valid TOML: {error}") from None
    if content.get("format") != FORMAT:
        raise BenchError(
            f"the baseline {name} has format {content.get('format')}, this version reads format {FORMAT}"
        )
    try:
        baseline = _parsed(content)
        for entry in baseline.entries.values():
            baseline.environment(entry.update)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise BenchError(f"the baseline {name}: {where}: {fault['msg'].lower()}") from None
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise BenchError(
            f"the baseline {name} is damaged ({type(error).__name__}: {error}); take it from version control"
        ) from None
    return baseline


def _cell(rows: Mapping[MetricKey, Mapping[str, Any]], shared: Mapping[str, Any]) -> str:
    in_cell = {name: value for name, value in _shared(rows.values()).items() if name not in shared}
    title = "".join(letter if letter.isprintable() else " " for letter in next(iter(rows)).cell)
    parts = [f"\n[[cells]]\n# {title}\n"]
    parts += [line(name, value) for name, value in in_cell.items()]
    parts.append("[cells.metrics]\n")
    for key, row in rows.items():
        rest = {name: value for name, value in row.items() if name not in shared and name not in in_cell}
        values = {field: rest.pop(field) for field in ("update", "seeds", "values", "past") if field in rest}
        level, metric = rest.pop("level", key.level), rest.pop("metric", key.metric)
        name = ".".join((level, metric, rest.pop("dialect", key.dialect)))
        parts.append(line(name.removesuffix(".default"), {**values, **rest}))
    return "".join(parts)


def _row(key: MetricKey, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {**asdict(key), **entry.context, "n": entry.n, "unit": entry.unit}
    row.update(update=entry.update, seeds=list(entry.values), values=list(entry.values.values()))
    if entry.source:
        row["source"] = entry.source
    if entry.past:
        row["past"] = [[number, *values] for number, values in entry.past]
    return row


_ALWAYS_OWN = frozenset({"level", "metric", "dialect", "update", "values", "past"})


def _shared(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Names with one value in all rows, but for what every metric says for itself."""
    rows = list(rows)
    return {
        name: value
        for name, value in (rows[0] if rows else {}).items()
        if name not in _ALWAYS_OWN and all(name in row and row[name] == value for row in rows)
    }


def _parsed(content: Mapping[str, Any]) -> Baseline:
    entries = {}
    for cell in content.get("cells", ()):
        head = {name: value for name, value in cell.items() if name != "metrics"}
        for measure, entry in cell["metrics"].items():
            level, metric, *dialect = measure.split(".", 2)
            row = {**content.get("shared", {}), **head, **entry, "level": level, "metric": metric}
            row["dialect"] = dialect[0] if dialect else "default"
            entries[MetricKey(*(row[field.name] for field in fields(MetricKey)))] = _entry(row)
    return Baseline(
        policy=Policy(**content.get("policy", {})),
        rules=tuple(Rule(**rule) for rule in content.get("rules", ())),
        updates=tuple(Update(**update) for update in content.get("updates", ())),
        environments=content.get("environments", {}),
        methods=content.get("methods", {}),
        entries=entries,
        speeds={
            name: Speed(tuple((int(number), float(ratio)) for number, ratio in ratios))
            for name, ratios in content.get("speeds", {}).items()
        },
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        update=int(row["update"]),
        context={name: row.get(name, _DEFAULTS[name]) for name in CONTEXT},
        n=int(row["n"]),
        unit=str(row["unit"]),
        values={int(seed): float(v) for seed, v in zip(row["seeds"], row["values"], strict=True)},
        source=str(row.get("source", "")),
        past=tuple(_past(group) for group in row.get("past", ())),
    )


def _past(group: Sequence[float]) -> tuple[int, tuple[float, ...]]:
    return int(group[0]), tuple(float(value) for value in group[1:])
