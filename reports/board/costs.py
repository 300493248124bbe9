"""What a run cost: seconds summed and memory peaks taken over categories, by what was run."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.record.record import Record

IMAGE_STAGES = ("generator.sample", "detector.predict")
"""Their cost records count images in n."""


@dataclass(frozen=True)
class Cost:
    """One line of the cost table; `values` by measure, in the order of the measures, None where unknown."""

    stage: str
    generator: str
    mix: str
    detector: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class CostTable:
    measures: tuple[tuple[str, str], ...]
    """(name, unit) of each column."""
    lines: tuple[Cost, ...]


def cost_table(records: Iterable[Record]) -> CostTable:
    """Records of level "cost": a sum over categories and a mean over seeds; of memory the largest.

    Their metric is "<stage> <measure>", for instance "detector.fit peak memory".
    """
    spent = [
        record
        for record in records
        if record.level == "cost" and record.status == "ok" and record.value is not None
    ]
    groups: dict[tuple[str, str, str, str], dict[tuple[str, str], list[Record]]] = {}
    for record in spent:
        stage, _, measure = record.metric.partition(" ")
        names = (stage, record.detector_title, record.generator_title, record.mix)
        groups.setdefault(names, {}).setdefault((measure, record.unit), []).append(record)
    measures = tuple(sorted({measure for group in groups.values() for measure in group}, reverse=True))
    lines = tuple(
        Cost(stage, generator, mix, detector, tuple(_total(group.get(measure, [])) for measure in measures))
        for (stage, detector, generator, mix), group in sorted(groups.items())
    )
    return CostTable(measures, lines)


def per_image(records: Iterable[Record]) -> dict[tuple[str, str, str, str], float]:
    """Milliseconds an image of the stages that go through images, by (stage, generator, mix, detector)."""
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in records:
        stage, _, measure = record.metric.partition(" ")
        if (
            record.level == "cost"
            and measure == "seconds"
            and stage in IMAGE_STAGES
            and record.value is not None
        ):
            names = (stage, record.generator_title, record.mix, record.detector_title)
            groups.setdefault(names, []).append(record)
    return {
        names: 1000.0
        * sum(float(record.value or 0.0) for record in members)
        / sum(record.n for record in members)
        for names, members in groups.items()
        if sum(record.n for record in members)
    }


@dataclass(frozen=True)
class PublishedCost:
    """What a paper says a generator costs, on an A100."""

    generator: str
    train_hours: str
    milliseconds: str
    source: str


def published_costs(published: Iterable[Record]) -> tuple[PublishedCost, ...]:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for record in published:
        if record.level == "cost" and record.value is not None:
            rows.setdefault((record.generator_title, record.source), {})[record.unit] = f"{record.value:g}"
    return tuple(
        PublishedCost(name, printed.get("h", ""), printed.get("ms", ""), source)
        for (name, source), printed in rows.items()
    )


def _total(records: list[Record]) -> float | None:
    values = [float(record.value) for record in records if record.value is not None]
    if not values:
        return None
    if records[0].unit == "bytes" or "peak" in records[0].metric:
        return max(values)
    return sum(values) / len({record.seed for record in records})


def amount(value: float, unit: str) -> str:
    """A cost in units that a reader can hold: seconds to hours, bytes to GiB."""
    if unit in ("s", "seconds"):
        if value >= 5400:
            return f"{value / 3600:.1f} h"
        return f"{value / 60:.1f} min" if value >= 90 else f"{value:.1f} s"
    if unit == "bytes":
        return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"
    return f"{value:.4g} {unit}".strip()
