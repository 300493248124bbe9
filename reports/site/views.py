"""Leaderboard tables as a page shows them: text in every cell, nothing left to compute in the template."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.board.cells import Cell
from reports.board.glossary import column_title, level_title, metric_title, number, unit_mark
from reports.board.identity import Column, Method, Row, mix_name
from reports.board.ranks import Gain
from reports.board.tables import MEAN, Leaderboard

MERGED = "‡"
"""Behind the name of a row with values that were merged from another store."""
STATUS_WORDS = {"missing": "not run", "incomparable": "not comparable"}


@dataclass(frozen=True)
class CellView:
    text: str
    interval: str = ""
    rank: str = ""
    best: bool = False
    mark: str = ""
    """"up" or "down" for a gain or loss beyond chance."""
    status: str = "ok"
    note: str = ""
    """Why there is no value; beside one, what is unknown of it."""
    sort: str = ""
    heat: int | None = None
    """Shade, 0 for the worst of its table; None for none."""

    @property
    def style(self) -> str:
        """The classes of its cell in a page."""
        if self.status not in ("ok", "absent"):
            return "void"
        shade = "" if self.heat is None else f"h{self.heat}"
        return " ".join(filter(None, ("best" if self.best else "", self.mark, shade)))


@dataclass(frozen=True)
class Head:
    title: str
    group: str = ""
    unit: str = ""
    note: str = ""
    metric: str = ""
    """What a reader filters columns by; "" for columns that are always shown."""
    generator: str = ""


@dataclass(frozen=True)
class TableLine:
    label: str
    mix: str
    is_baseline: bool
    cells: tuple[CellView, ...]
    generator: str = ""
    kind: str = "measured"
    dataset: str = ""
    source: str = ""
    anchor: str = ""
    """Where on the page of recipes this row is made again; "" for none."""
    command: str = ""


def generator_of(row: Row) -> str:
    """What a reader filters rows by: the generator, "" for rows without one."""
    return "" if row.generator.name == "none" else row.generator.name


@dataclass(frozen=True)
class TableView:
    title: str
    corner: str
    heads: tuple[Head, ...]
    lines: tuple[TableLine, ...]
    has_mix: bool
    intervals: tuple[str, ...]
    """How the intervals of this table were made."""
    detector: str = ""
    metric: str = ""
    unknown: tuple[str, ...] = ()
    """Of each row with a value that compares with nothing, what is unknown, in a sentence."""
    merged: tuple[str, ...] = ()
    """What the mark of merged rows means, in a sentence per store that they are from."""

    @property
    def notes(self) -> tuple[str, ...]:
        """All sentences that belong below the table."""
        return (*self.unknown, *self.merged)

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Runs of heads that share a group: (name, how many)."""
        runs: list[tuple[str, int]] = []
        for head in self.heads:
            if runs and runs[-1][0] == head.group:
                runs[-1] = (head.group, runs[-1][1] + 1)
            else:
                runs.append((head.group, 1))
        return tuple(runs)


def detectors(board: Leaderboard) -> tuple[Method, ...]:
    """The detectors of a leaderboard in the order of their columns."""
    return tuple(dict.fromkeys(column.detector for column in board.columns if not column.is_generation))


def mean_table(
    board: Leaderboard, columns: Sequence[Column], title: str, category: str | None = MEAN
) -> TableView:
    """Rows by columns, each cell a mean over categories, or the value of one category."""
    rows = board.rows_of(columns)
    views = {column: _column_cells(board, column, rows, category) for column in columns}
    lines = tuple(
        TableLine(
            _label(board, row, columns),
            "" if board.is_baseline(row) else mix_name(row.mix),
            board.is_baseline(row),
            tuple(views[column][i] for column in columns),
            generator_of(row),
        )
        for i, row in enumerate(rows)
    )
    return TableView(
        title,
        "training images" if any(row.mix for row in rows) else "generator",
        tuple(_head(board, column, rows, category) for column in columns),
        lines,
        any(row.mix not in ("", board.baseline) for row in rows),
        _intervals(board.cells.get((row, column, category)) for row in rows for column in columns),
        unknown=_unknown(board, rows, columns, (category,)),
        merged=_merged(board, rows, columns),
    )


def category_table(board: Leaderboard, column: Column) -> TableView:
    """Categories by rows of the leaderboard for one column, the mean last."""
    rows = board.rows_of([column])
    keys = [key for key in board.categories if any((row, column, key) in board.cells for row in rows)]
    lines = [TableLine(key or "(all)", "", False, _column_cells(board, column, rows, key)) for key in keys]
    if len(keys) > 1:
        counted = next(
            (cell for row in rows if (cell := board.cells[row, column, MEAN]).status == "ok"), None
        )
        label = "mean"
        if counted is not None and counted.categories < counted.of_categories:
            label = f"mean of {counted.categories} of {counted.of_categories}"
        lines.append(TableLine(label, "", True, _column_cells(board, column, rows, MEAN)))
    return TableView(
        f"{level_title(column.level)}: {column_title(column)}, {unit_mark(column)}",
        "category",
        tuple(
            Head(
                _label(board, row, [column]),
                mix_name(row.mix) if row.mix not in ("", board.baseline) else "",
                generator=generator_of(row),
            )
            for row in rows
        ),
        tuple(lines),
        False,
        _intervals(board.cells.get((row, column, key)) for row in rows for key in keys),
        unknown=_unknown(board, rows, (column,), (*keys, MEAN)),
        merged=_merged(board, rows, (column,)),
    )


def gain_table(
    board: Leaderboard, columns: Sequence[Column], title: str, category: str | None = MEAN
) -> TableView | None:
    """What each row gains over the baseline in each column; None without a baseline."""
    rows = [row for row in board.rows_of(columns) if not board.is_baseline(row)]
    columns = [column for column in columns if any((row, column, category) in board.gains for row in rows)]
    if not columns or not rows:
        return None
    lines = []
    for row in rows:
        cells = []
        for column in columns:
            gain = board.gains.get((row, column, category))
            cells.append(
                _gain_view(column, gain, board.digits[column])
                if gain
                else _void(board.cells.get((row, column, category)))
            )
        label = _label(board, row, columns)
        lines.append(TableLine(label, mix_name(row.mix), False, tuple(cells), generator_of(row)))
    heads = tuple(
        Head(
            column_title(column),
            level_title(column.level),
            _gain_unit(column),
            metric=metric_title(column.metric),
        )
        for column in columns
    )
    return TableView(
        title, "training images", heads, tuple(lines), True, (), merged=_merged(board, rows, columns)
    )


def _gain_unit(column: Column) -> str:
    return unit_mark(column).replace("%", "points").replace("↓", "").replace("↑", "").strip()


def _head(board: Leaderboard, column: Column, rows: Iterable[Row], category: str | None) -> Head:
    note = ""
    for row in rows:
        cell = board.cells.get((row, column, category))
        if cell is not None and cell.status == "ok" and cell.categories < cell.of_categories:
            note = f"{cell.categories} of {cell.of_categories} categories"
    return Head(
        column_title(column), level_title(column.level), unit_mark(column), note, metric_title(column.metric)
    )


def _column_cells(
    board: Leaderboard, column: Column, rows: Sequence[Row], category: str | None
) -> tuple[CellView, ...]:
    cells = [board.cells.get((row, column, category)) for row in rows]
    digits = board.digits[column]
    places = {cell.rank for cell in cells if cell is not None and cell.rank is not None}
    # A rank that all rows share says nothing, and a best among equals is no best.
    ranked = len(places) > 1
    return tuple(
        _value_view(column, cell, digits, ranked)
        if cell is not None and cell.value is not None
        else _void(cell)
        for cell in cells
    )


def _value_view(column: Column, cell: Cell, digits: int, ranked: bool) -> CellView:
    assert cell.value is not None
    rank = str(cell.rank) if ranked and cell.rank is not None else ""
    return CellView(
        number(column, cell.value, digits),
        _interval(column, cell.low, cell.high, digits),
        rank,
        rank == "1",
        note="; ".join(cell.reasons),
        sort=f"{cell.value:.6g}",
    )


def _gain_view(column: Column, gain: Gain, digits: int) -> CellView:
    mark = ("up" if gain.value > 0 else "down") if gain.significant else ""
    return CellView(
        number(column, gain.value, digits, signed=True),
        _interval(column, gain.low, gain.high, digits, signed=True),
        mark=mark,
        sort=f"{gain.value:.6g}",
    )


def _interval(
    column: Column, low: float | None, high: float | None, digits: int, signed: bool = False
) -> str:
    if low is None or high is None:
        return ""
    joiner = " to " if signed or low < 0 else "–"
    return number(column, low, digits, signed) + joiner + number(column, high, digits, signed)


def _void(cell: Cell | None) -> CellView:
    if cell is None:
        return CellView("", status="absent")
    status = STATUS_WORDS.get(cell.status, cell.status)
    if cell.status == "ok" and cell.reasons:
        return CellView("—", status="not comparable", note="; ".join(cell.reasons))
    if cell.status == "ok":
        return CellView("—", status="no baseline", note="the baseline of this column has no value")
    return CellView("—", status=status, note="; ".join(cell.reasons))


def _intervals(cells: Iterable[Cell | None]) -> tuple[str, ...]:
    return tuple(sorted({cell.interval for cell in cells if cell is not None and cell.interval}))


def _label(board: Leaderboard, row: Row, columns: Iterable[Column]) -> str:
    """The name of a row, with a mark where a value of it in these columns was merged."""
    is_merged = any((row, column) in board.origins for column in columns)
    return f"{board.labels[row]} {MERGED}" if is_merged else board.labels[row]


def _merged(board: Leaderboard, rows: Sequence[Row], columns: Sequence[Column]) -> tuple[str, ...]:
    labels: dict[str, dict[str, None]] = {}
    for row in rows:
        for column in columns:
            if stores := board.origins.get((row, column)):
                labels.setdefault(stores, {})[board.labels[row]] = None
    return tuple(
        f"{MERGED} {', '.join(names)}: merged from store {stores}, not made here"
        for stores, names in labels.items()
    )


def _unknown(
    board: Leaderboard, rows: Sequence[Row], columns: Sequence[Column], categories: Sequence[str | None]
) -> tuple[str, ...]:
    sentences: dict[str, None] = {}
    for row in rows:
        cells = (board.cells.get((row, column, key)) for column in columns for key in categories)
        clauses = [
            reason for cell in cells if cell is not None and cell.status == "ok" for reason in cell.reasons
        ]
        sentences |= {
            f"{board.labels[row]}: {clause}, so it has no rank and no gain": None for clause in clauses
        }
    return tuple(sentences)
