"""The leaderboard at the end of a run, small enough for a terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.published.disagreements import footnotes
from bench.record import catalogue
from bench.results.run import Results
from reports.board.findings import findings, headline
from reports.board.gaps import gaps
from reports.board.glossary import column_title, unit_mark
from reports.board.identity import Column
from reports.board.tables import Leaderboard, leaderboard
from reports.site.views import detectors, mean_table

PLAIN_WIDTH = 140
"""Characters a line where no terminal says how many it has."""


def print_leaderboard(results: Results, console: Console | None = None) -> None:
    """Print means over categories: the papers' metrics of the images and copies, and one metric a detector.

    Plain text, without colour or box lines, where the output is no terminal.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_WIDTH)
    board = leaderboard(results.records, results.replicates, results.baseline)
    if results.banner:
        console.print(escape(results.banner), style="yellow")
        for line in footnotes(results.banner):
            console.print(escape(line), style="yellow")
    brief = {name for name, metric in catalogue.metrics().items() if metric.brief}
    generation = [column for column in board.columns if column.metric in brief and _has_value(board, column)]
    headlines = [column for detector in detectors(board) if (column := headline(board, detector))]
    for title, columns in (("generated images", generation), ("worth to detectors", headlines)):
        if columns:
            table = _table(board, title, columns, " ", plain=not console.is_terminal)
            if table.__rich_measure__(console, console.options).maximum >= console.width:
                table = _table(board, title, columns, "\n", plain=not console.is_terminal)
            console.print(table)
    for column in headlines:
        for sentence in mean_table(board, [column], "").unknown:
            text = f"{board.detectors[column.detector]}, {sentence}"
            console.print(escape(text), soft_wrap=not console.is_terminal)
    for sentence in mean_table(board, (*generation, *headlines), "").merged:
        console.print(escape(sentence), soft_wrap=not console.is_terminal)
    for finding in findings(board, detectors(board)):
        console.print(
            f"{escape(finding.detector)}: {escape(finding.sentence)}", soft_wrap=not console.is_terminal
        )
    missing = gaps(results.records)
    for status in ("failed", "skipped", "undefined"):
        cells = sum(gap.cells for gap in missing if gap.status == status)
        if cells:
            reasons = sorted({gap.reason for gap in missing if gap.status == status})
            more = f" (and {len(reasons) - 1} more reasons)" if len(reasons) > 1 else ""
            console.print(
                f"{cells} cells {status}: {escape(reasons[0])}{more}", soft_wrap=not console.is_terminal
            )


def _has_value(board: Leaderboard, column: Column) -> bool:
    view = mean_table(board, [column], "")
    return any(cell.status == "ok" for line in view.lines for cell in line.cells)


def _table(board: Leaderboard, title: str, columns: list[Column], joint: str, plain: bool) -> Table:
    view = mean_table(board, columns, title)
    table = Table(
        title=title,
        title_justify="left",
        box=None if plain else box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column(view.corner, overflow="fold")
    if view.has_mix:
        table.add_column("mix", no_wrap=True)
    for column in columns:
        name = "" if column.is_generation else escape(board.detectors[column.detector]) + joint
        level = "" if column.level in ("generation", "classification") else column.level.split("-")[-1] + " "
        title = f"{name}{level}{column_title(column)} {unit_mark(column)}"
        table.add_column(title, justify="right", no_wrap=True)
    for line in view.lines:
        cells = []
        for cell in line.cells:
            text = cell.status if cell.status not in ("ok", "absent") else cell.text
            interval = f"{joint}[dim]{cell.interval}[/dim]" if cell.interval else ""
            cells.append(f"[bold]{text}[/bold]{interval}" if cell.best else text + interval)
        table.add_row(escape(line.label), *([line.mix] if view.has_mix else []), *cells)
    return table
