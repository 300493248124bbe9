"""What the pages of one leaderboard share: its boards, computed once, and in which files its pages lie."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from bench.record.record import Record
from bench.results.run import Results
from reports.board.findings import Finding, findings
from reports.board.gaps import gaps
from reports.board.identity import Column, Method, Row
from reports.board.tables import MEAN, Leaderboard, leaderboard
from reports.site.addresses import slugs
from reports.site.pictures import Album
from reports.site.reproduce import RerunCommand, rerun_commands
from reports.site.views import detectors

IMAGES = "generated images"


@dataclass(frozen=True)
class Page:
    """One page: its file, its template, and what fills the template, computed when it is rendered."""

    file: str
    template: str
    context: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class SiblingPage:
    """One of several pages of a kind, as a link."""

    file: str
    title: str
    is_current: bool


@dataclass(frozen=True)
class Group:
    """The columns of the generated images, or of one detector, and the file with their values by category."""

    name: str
    columns: tuple[Column, ...]
    file: str


class RunBoard:
    """The boards of one `Results`. Pictures of its pages go into the album."""

    def __init__(self, results: Results, album: Album) -> None:
        self.results = results
        self.album = album
        self.records = in_order(results.records)

    @cached_property
    def board(self) -> Leaderboard:
        return leaderboard(self.records, self.results.replicates, self.results.baseline)

    @cached_property
    def scored(self) -> tuple[Record, ...]:
        """The records of all dialects."""
        return (*self.records, *in_order(self.results.dialects))

    @cached_property
    def all_dialects(self) -> Leaderboard:
        """The board with all dialects, of values alone."""
        return leaderboard(self.scored, baseline=self.results.baseline, bare=True)

    @cached_property
    def measured(self) -> int:
        """Number of records with a value."""
        return sum(record.status == "ok" for record in self.records)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        return findings(self.board, detectors(self.board))

    @cached_property
    def gaps(self) -> tuple[Any, ...]:
        return gaps(self.records)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The generated images first, then each detector."""
        board = self.board
        columns = {IMAGES: tuple(column for column in board.columns if column.is_generation)}
        columns |= {board.detectors[detector]: board.columns_of(detector) for detector in detectors(board)}
        files = slugs(name for name, members in columns.items() if members)
        return tuple(Group(name, columns[name], f"by-category-{slug}.html") for name, slug in files.items())

    @cached_property
    def curve_files(self) -> dict[str, str]:
        """Detector to file, of those with curves."""
        detectors_with_curves = {curve.detector for curve in self.results.curves}
        detectors_with_curves |= {trace.detector for trace in self.results.traces}
        files = slugs(sorted(detectors_with_curves))
        return {name: f"curves-{slug}.html" for name, slug in files.items()}

    @cached_property
    def category_files(self) -> dict[str | None, str]:
        files = slugs(self.board.categories)
        return {MEAN: "index.html", **{name: f"category-{slug}.html" for name, slug in files.items()}}

    @cached_property
    def rerun_commands(self) -> dict[tuple[Row, Method], RerunCommand]:
        return rerun_commands(self.records, self.results.commands)

    @cached_property
    def anchors(self) -> dict[tuple[Row, Method], str]:
        """Where on the page of provenance each row with each detector is made again."""
        ordered = sorted(self.rerun_commands, key=_anchor_order)
        return {row_and_detector: f"r{number}" for number, row_and_detector in enumerate(ordered)}


_ORDER = attrgetter(
    *("kind", "level", "metric", "dialect", "category", "defect"),
    *("mix", "generator", "detector", "seed", "task"),
)


def in_order(records: Iterable[Record]) -> tuple[Record, ...]:
    """Records in a total order, which does not depend on how a store lists its tasks."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(_ORDER(record), []).append(record)
    return tuple(
        record
        for _, members in sorted(groups.items())
        # what differs in other fields alone is rare, and its text is slow to make
        for record in (sorted(members, key=repr) if len(members) > 1 else members)
    )


def _anchor_order(row_and_detector: tuple[Row, Method]) -> tuple[object, ...]:
    row, detector = row_and_detector
    return (
        detector.name != "none",
        detector.name,
        detector.variant,
        detector.version,
        detector.params,
        row.order(),
    )
