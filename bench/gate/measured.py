"""What a run measured, in the shape in which it is compared with a baseline."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.gate.metric_key import CONTEXT, MetricKey
from bench.record.record import Record
from bench.results.run import Results
from bench.tasks import digest

Value = str | int | float


@dataclass(frozen=True)
class Absent:
    """Why a seed has no value."""

    status: str
    note: str


@dataclass(frozen=True)
class Measured:
    """One metric over the seeds of a run."""

    context: Mapping[str, Value]
    """The record fields of `CONTEXT`: what decides comparability, and the method's version."""
    n: int
    unit: str
    values: Mapping[int, float]
    """Seed to value."""
    absent: Mapping[int, Absent]
    source: str
    """Digest of the bytes that the values were computed from; "" where they are not known."""

    @property
    def sign(self) -> int:
        return -1 if self.context["direction"] == "lower" else 1


@dataclass(frozen=True)
class Run:
    """All that a gate looks at of a run."""

    metrics: Mapping[MetricKey, Measured]
    methods: Mapping[str, Mapping[str, Any]]
    """Name to id, preset and parameters."""
    environment: Mapping[str, Any]
    mixed: bool
    """Whether parts were made in different environments; then no bits need be equal."""
    commit: str
    command: str
    on_gpu: bool
    ingested: frozenset[str]
    unfinished: int = 0
    """Results that the run still lacks."""

    @property
    def seeds(self) -> frozenset[int]:
        return frozenset(seed for metric in self.metrics.values() for seed in metric.values)


Contents = Callable[[str], Mapping[str, str]]
"""Scoring task to the digests of its inputs' bytes."""


def measured(records: Iterable[Record], contents: Contents) -> dict[MetricKey, Measured]:
    """Values by metric and seed; costs are not metrics of quality and are left out."""
    grouped: dict[MetricKey, list[Record]] = {}
    for record in records:
        if record.level != "cost" and record.kind == "measured":
            grouped.setdefault(MetricKey.of(record), []).append(record)
    return {key: _measured(sorted(rows, key=lambda row: row.seed), contents) for key, rows in grouped.items()}


def run_of(results: Results, contents: Contents) -> Run:
    """The run that results were collected from."""
    environments = results.provenance.get("environments", [])
    methods = results.provenance.get("methods", {})
    commits = [record.commit for record in results.records if record.commit]
    return Run(
        metrics=measured(results.records, contents),
        methods=methods,
        environment=environments[0] if environments else {},
        mixed=len({str(numeric(environment)) for environment in environments}) > 1,
        commit=max(set(commits), key=lambda commit: (commits.count(commit), commit), default=""),
        command=results.provenance.get("command", ""),
        on_gpu=any(record.gpu_seconds for record in results.records),
        ingested=frozenset(name for name, method in methods.items() if method["id"].endswith("@ingested")),
    )


def numeric(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an environment that may change a bit of a result: not the kernel, nor the core count."""
    facts = {
        name: environment.get(name) for name in ("python", "machine", "cpu", "instructions", "gpus", "torch")
    }
    packages = {
        name: version
        for name, version in environment.get("packages", {}).items()
        if name not in ("defectbench", "pandas")
    }
    return {**facts, "packages": packages}


def _measured(rows: list[Record], contents: Contents) -> Measured:
    valued = {row.seed: row for row in rows if row.status == "ok" and row.value is not None}
    first = min(valued.values(), key=lambda row: row.seed) if valued else rows[0]
    return Measured(
        context={name: getattr(first, name) for name in CONTEXT},
        n=first.n,
        unit=first.unit,
        values={seed: float(row.value) for seed, row in valued.items() if row.value is not None},
        absent={row.seed: Absent(row.status, row.note) for row in rows if row.seed not in valued},
        source=_source(valued, contents),
    )


def _source(valued: Mapping[int, Record], contents: Contents) -> str:
    inputs = [[seed, sorted(contents(row.task).values())] for seed, row in sorted(valued.items())]
    return digest(inputs)[:12] if inputs and all(digests for _, digests in inputs) else ""
