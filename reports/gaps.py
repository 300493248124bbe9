"""Cells without a number: what is missing, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.records import Record
from reports.glossary import metric_title

ORDER = ("failed", "skipped", "undefined")


@dataclass(frozen=True)
class Gap:
    """Cells that have no value for one reason."""

    status: str
    reason: str
    generator: str
    mix: str
    detector: str
    metrics: tuple[str, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: int


def gaps(records: Iterable[Record]) -> tuple[Gap, ...]:
    """Records without a value, those of one reason, generator, mix and detector together; failures first."""
    groups: dict[tuple[str, str, str, str, str], list[Record]] = {}
    for record in records:
        if record.status != "ok":
            generator = "" if record.generator == "none" else record.generator
            detector = "" if record.detector == "none" else record.detector
            if generator and record.generator_variant:
                generator += f"[{record.generator_variant}]"
            if detector and record.detector_variant:
                detector += f"[{record.detector_variant}]"
            key = (record.status, record.note or "no reason was recorded", generator, record.mix, detector)
            groups.setdefault(key, []).append(record)
    found = [
        Gap(
            *key,
            metrics=tuple(sorted({metric_title(each.metric) for each in members if each.metric})),
            categories=tuple(sorted({_place(each) for each in members})),
            seeds=tuple(sorted({each.seed for each in members})),
            cells=len(members),
        )
        for key, members in groups.items()
    ]
    return tuple(
        sorted(
            found,
            key=lambda gap: (ORDER.index(gap.status), gap.generator, gap.mix, gap.detector, gap.reason),
        )
    )


def _place(record: Record) -> str:
    return record.category if record.defect == "all" else f"{record.category}/{record.defect}"
