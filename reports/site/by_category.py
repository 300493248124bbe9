"""Categories by methods, one table per metric; a shade says how near a value is to the best of its table."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from reports.board.findings import headline
from reports.board.glossary import metric_title
from reports.board.identity import Column
from reports.board.tables import Leaderboard
from reports.site.filters import choices
from reports.site.run_board import Group, Page, RunBoard, SiblingPage
from reports.site.views import CellView, TableView, category_table

STEPS = 9
"""Shades that the style defines, 0 for the worst."""


def pages(run: RunBoard) -> Iterator[Page]:
    for group in run.groups:
        yield Page(group.file, "categories.html", partial(_context, run, group))


def _context(run: RunBoard, group: Group) -> Mapping[str, Any]:
    columns = group.columns
    views = [replace(heat_map(run.board, column), metric=metric_title(column.metric)) for column in columns]
    first = headline(run.board, columns[0].detector) if columns else None
    return {
        "group": group.name,
        "groups": [SiblingPage(other.file, other.name, other == group) for other in run.groups],
        "views": views,
        "opened": next(
            (view.title for view, column in zip(views, columns, strict=True) if column == first), ""
        ),
        "choices": choices(
            metric=[view.metric for view in views],
            generator=[head.generator for view in views for head in view.heads],
        ),
    }


def heat_map(board: Leaderboard, column: Column) -> TableView:
    """Categories by methods with a shade in every cell; intervals are left to the tables of each category."""
    view = category_table(board, column)
    values = [float(cell.sort) for line in view.lines for cell in line.cells if cell.sort and not cell.note]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)

    def shaded(cell: CellView) -> CellView:
        if not cell.sort or cell.note or low == high:
            return replace(cell, interval="")
        share = (float(cell.sort) - low) / (high - low)
        shade = round((share if column.sign > 0 else 1 - share) * (STEPS - 1))
        return replace(cell, interval="", heat=shade)

    lines = tuple(replace(line, cells=tuple(map(shaded, line.cells))) for line in view.lines)
    return replace(view, lines=lines, intervals=())
