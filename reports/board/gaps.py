"""Cells without a number: what is missing, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.record.labels import NONE, titled
from bench.record.record import Record
from reports.board.glossary import metric_title

ORDER = ("failed", "skipped", "undefined")


@dataclass(frozen=True)
class Gap:
    """Cells that have no value for one reason."""

    status: str
    reason: str
    rows: tuple[tuple[str, str], ...]
    """(generator, mix) of each."""
    detector: str
    metrics: tuple[str, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: int


def gaps(records: Iterable[Record]) -> tuple[Gap, ...]:
    """Records without a value, failures first; rows share a line where they lack the same for one reason."""
    groups: dict[tuple[str, str, tuple[str, str], str], list[Record]] = {}
    for record in records:
        if record.status != "ok":
            row = (_shown(record.generator_title), record.mix)
            detector = _shown(titled(record.detector, record.detector_variant))
            key = (record.status, record.note or "no reason was recorded", row, detector)
            groups.setdefault(key, []).append(record)

    lines: dict[tuple, list[tuple[tuple[str, str], int]]] = {}
    for (status, reason, row, detector), members in sorted(groups.items()):
        metrics = tuple(sorted({metric_title(record.metric) for record in members if record.metric}))
        parts = tuple(sorted({_place(record) for record in members}))
        seeds = tuple(sorted({record.seed for record in members}))
        lines.setdefault((status, reason, detector, metrics, parts, seeds), []).append((row, len(members)))
    lines_of_gaps = [
        Gap(
            status,
            reason,
            tuple(row for row, _ in rows),
            detector,
            metrics,
            parts,
            seeds,
            sum(n for _, n in rows),
        )
        for (status, reason, detector, metrics, parts, seeds), rows in lines.items()
    ]
    return tuple(
        sorted(lines_of_gaps, key=lambda gap: (ORDER.index(gap.status), gap.rows, gap.detector, gap.reason))
    )


def _shown(title: str) -> str:
    return "" if title == NONE else title


def _place(record: Record) -> str:
    return record.category if record.defect == "all" else f"{record.category}/{record.defect}"
