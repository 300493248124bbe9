"""The leaderboard, of means and of each category: values, published rows beside them, gains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from reports.board.glossary import table_of
from reports.board.identity import Column
from reports.board.tables import MEAN
from reports.site.filters import choices
from reports.site.published_rows import published_lines
from reports.site.run_board import IMAGES, Page, RunBoard, SiblingPage
from reports.site.views import TableLine, TableView, gain_table, mean_table

TableParts = tuple[TableView, list[TableLine], list[TableLine]]
"""Measured values, rows that papers print on this data set, and on other data sets."""


def pages(run: RunBoard) -> Iterator[Page]:
    for category, file in run.category_files.items():
        yield Page(file, "leaderboard.html", partial(_context, run, category))


def _context(run: RunBoard, category: str | None) -> Mapping[str, Any]:
    board = run.board
    tables = [_table(run, *part, category) for part in _parts(run)]
    gains = [
        replace(gain, detector=group.name)
        for group in run.groups
        if (gain := gain_table(board, group.columns, group.name, category)) is not None
    ]
    lines = [(view.lines, published, elsewhere) for view, published, elsewhere in tables]
    return {
        "category": category,
        "places": [
            SiblingPage(file, name or "mean", name == category) for name, file in run.category_files.items()
        ],
        "findings": run.findings if category is MEAN else (),
        "main_tables": tables,
        "gain_tables": gains,
        "baseline": next(
            (label for row, label in board.labels.items() if board.is_baseline(row)), "the baseline"
        ),
        "choices": choices(
            generator=[line.generator for line in chain(*chain(*lines))],
            detector=[view.detector for view, *_ in tables],
            metric=[head.metric for view, *_ in tables for head in view.heads],
            dataset=[line.dataset for _, *printed in tables for line in chain(*printed)],
        ),
    }


def _parts(run: RunBoard) -> Iterator[tuple[str, str, tuple[Column, ...]]]:
    """(detector, title, columns) of each table of values."""
    for group in run.groups:
        if group.name != IMAGES:
            yield group.name, f"What they are worth to {group.name}", group.columns
            continue
        # what no paper prints has a table of its own, as one of all metrics is wider than a page
        honest = tuple(column for column in group.columns if table_of(column) == "honesty")
        printed = tuple(column for column in group.columns if column not in honest)
        for title, columns in (
            ("What the images look like", printed),
            ("Whether they copy, and whether their masks fit", honest),
        ):
            if columns:
                yield "", title, columns


def _table(
    run: RunBoard, detector: str, title: str, columns: Sequence[Column], category: str | None
) -> TableParts:
    view = _with_commands(run, mean_table(run.board, columns, title, category), columns)
    printed = published_lines(run.results.published, columns, view.heads, category)
    if any(line.mix for line in printed):
        view = replace(view, has_mix=True)
    on_this = [line for line in printed if line.dataset == run.results.dataset]
    on_others = [line for line in printed if line.dataset != run.results.dataset]
    return replace(view, detector=detector), on_this, on_others


def _with_commands(run: RunBoard, view: TableView, columns: Sequence[Column]) -> TableView:
    """The table with the command that makes each row again, and a link to it."""
    lines = []
    for row, line in zip(run.board.rows_of(columns), view.lines, strict=True):
        rerun = run.rerun_commands.get((row, columns[0].detector))
        if rerun is not None:
            anchor = run.anchors[row, columns[0].detector]
            line = replace(line, anchor=anchor, command=rerun.command)
        lines.append(line)
    return replace(view, lines=tuple(lines))
