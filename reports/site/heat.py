"""Shades of a table of values: how far each lies from the worst to the best of its column of measurement."""

from collections.abc import Sequence
from dataclasses import replace

from reports.board.identity import Column
from reports.board.tables import Leaderboard
from reports.site.views import CellView, Line, TableView, category_table

STEPS = 9
"""Shades that the style defines, 0 for the worst."""


def heat_map(board: Leaderboard, column: Column) -> TableView:
    """Categories by methods with a shade in every cell; intervals are left to the tables of each category."""
    view = category_table(board, column)
    values = [float(cell.sort) for line in view.lines for cell in line.cells if cell.sort]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)

    def shaded(cell: CellView) -> CellView:
        if not cell.sort or low == high:
            return replace(cell, interval="")
        share = (float(cell.sort) - low) / (high - low)
        shade = round((share if column.sign > 0 else 1 - share) * (STEPS - 1))
        return replace(cell, interval="", heat=shade)

    lines: Sequence[Line] = [replace(line, cells=tuple(map(shaded, line.cells))) for line in view.lines]
    return replace(view, lines=tuple(lines), intervals=())
