"""The leaderboard for papers and pull requests: Markdown and LaTeX, whatever the names in it hold."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.plain_text import plain_line
from bench.record.record import Record, why_incomparable
from reports.board.identity import Column
from reports.board.tables import Leaderboard
from reports.site.published_rows import PUBLISHED_MEAN, published_lines
from reports.site.views import CellView, TableLine, TableView, detectors, gain_table, mean_table

_MARKDOWN = {
    **{letter: f"\\{letter}" for letter in "\\`*[]|~"},
    "&": "&amp;",
    "<": "&lt;",
}
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # after the end of a row these two would be read as its argument
    "[": "{[}",
    "*": "{*}",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "‡": r"$\ddagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
_MARKS = "Bold: best of a column, underlined: second best; differences within the intervals may be chance."
_STAR = "An asterisk marks what is beyond chance after Holm's correction."


def markdown(board: Leaderboard, published: Sequence[Record] = (), measured: Sequence[Record] = ()) -> str:
    """The leaderboard in Markdown; the best of a column is bold where its rank says so.

    Gains over the baseline follow each table, then what papers printed, and what parts it from `measured`.
    """
    parts = []
    for view, notes in _tables(board, published, measured):
        heads = _head_cells(view)
        rule = "|" + "|".join(["---"] * (len(heads) - len(view.heads)) + ["---:"] * len(view.heads)) + "|\n"
        text = f"**{_markdown(view.title)}**\n\n" + _markdown_line(map(_markdown, heads)) + rule
        for row in view.lines:
            label = [row.label, *([row.mix] if view.has_mix else [])]
            text += _markdown_line([*map(_markdown, label), *map(_markdown_cell, row.cells)])
        parts.append(text + "".join(f"\n- {_markdown(note)}" for note in notes) + "\n" * bool(notes))
    return "\n".join(parts)


def latex(board: Leaderboard, published: Sequence[Record] = (), measured: Sequence[Record] = ()) -> str:
    """The leaderboard as booktabs tables: best of a column bold, second best underlined, as in papers.

    Intervals stand small beside the values, gains in tables of their own with an asterisk where they are
    significant. Published rows are never marked.
    """
    parts = ["% needs \\usepackage{booktabs}\n"]
    for view, notes in _tables(board, published, measured):
        heads = _head_cells(view)
        marks = _best_and_second(view)
        starred = any(cell.mark for line in view.lines for cell in line.cells)
        caption = ". ".join([view.title, *([_MARKS] if marks else []), *([_STAR] if starred else [])])
        lines = [
            "\\begin{table}\n\\centering",
            f"\\caption{{{_latex(caption)}}}",
            f"\\begin{{tabular}}{{{'l' * (len(heads) - len(view.heads))}{'r' * len(view.heads)}}}\n\\toprule",
            " & ".join(map(_latex, heads)) + " \\\\\n\\midrule",
        ]
        for i, row in enumerate(view.lines):
            label = [row.label, *([row.mix] if view.has_mix else [])]
            cells = [_latex_cell(cell, marks.get((i, j), "")) for j, cell in enumerate(row.cells)]
            lines.append(" & ".join([*map(_latex, label), *cells]) + " \\\\")
        lines.append("\\bottomrule\n\\end{tabular}")
        lines += [f"\\par\\scriptsize {_latex(note)}" for note in notes]
        lines.append("\\end{table}\n")
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _tables(
    board: Leaderboard, published: Sequence[Record], measured: Sequence[Record]
) -> list[tuple[TableView, Sequence[str]]]:
    """Tables with the notes below them: values, gains, and what papers printed for the same columns."""
    generation = [column for column in board.columns if column.is_generation]
    groups: list[tuple[str, Sequence[Column]]] = [("Generated images", generation)] if generation else []
    groups += [(board.detectors[detector], board.columns_of(detector)) for detector in detectors(board)]
    tables: list[tuple[TableView, Sequence[str]]] = []
    for title, columns in groups:
        view = mean_table(board, columns, title)
        tables.append((view, view.notes))
        gains = gain_table(board, columns, f"{title}: gain over {_baseline(board)}")
        if gains is not None:
            tables.append((gains, gains.notes))
        lines = published_lines(published, columns, view.heads, None)
        if lines:
            with_source = tuple(_with_source(line) for line in lines)
            has_mix = any(line.mix for line in lines)
            printed = TableView(f"{title}: published", view.corner, view.heads, with_source, has_mix, ())
            tables.append((printed, _why_apart(columns, published, measured)))
    return tables


def _why_apart(
    columns: Sequence[Column], published: Sequence[Record], measured: Sequence[Record]
) -> list[str]:
    """For each paper and data set, what parts its values from the measured ones of these columns."""
    samples = {
        (record.level, record.metric, record.detector): record for record in measured if record.status == "ok"
    }
    columns_of = {(column.level, column.metric, column.detector.name) for column in columns}
    reasons_of: dict[str, dict[str, None]] = {}
    unknown: dict[str, str] = {}
    for record in published:
        position = (record.level, record.metric, record.detector)
        if position not in columns_of or position not in samples or record.category != PUBLISHED_MEAN:
            continue
        if record.generator_variant or record.detector_variant:
            continue  # ablations have no row
        paper = f"{record.source.partition(',')[0]}, {record.dataset}"
        mine = replace(samples[position], category=record.category, mix=record.mix)
        for reason in why_incomparable(record, mine):
            if reason.endswith("unknown"):
                unknown[paper] = max(unknown.get(paper, ""), reason, key=len)
            else:
                reasons_of.setdefault(paper, {})[reason] = None
    return [
        f"{paper}: {'; '.join([*reasons_of.get(paper, ()), *filter(None, [unknown.get(paper)])])}"
        for paper in sorted({*reasons_of, *unknown})
    ]


def _with_source(line: TableLine) -> TableLine:
    return TableLine(
        f"{line.label}, {line.source}, {line.dataset}", line.mix, False, line.cells, kind=line.kind
    )


def _baseline(board: Leaderboard) -> str:
    return next((board.labels[row] for row in board.rows if board.is_baseline(row)), "the baseline")


def _head_cells(view: TableView) -> list[str]:
    heads = [
        " ".join(filter(None, (head.group, head.title, head.unit, f"({head.note})" if head.note else "")))
        for head in view.heads
    ]
    return [view.corner, *(["mix"] if view.has_mix else []), *heads]


def _markdown(text: str) -> str:
    return "".join(_MARKDOWN.get(letter, letter) for letter in plain_line(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in plain_line(text))


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _text(cell: CellView) -> str:
    if cell.status != "ok":
        return "" if cell.status == "absent" else cell.status
    return cell.text + "*" * bool(cell.mark)


def _markdown_cell(cell: CellView) -> str:
    text = _markdown(_text(cell))
    if cell.best:
        text = f"**{text}**"
    return f"{text} ({_markdown(cell.interval)})" if cell.interval and cell.status == "ok" else text


def _latex_cell(cell: CellView, command: str) -> str:
    text = _latex(_text(cell)).replace("{*}", "$^{*}$")
    if command:
        text = f"\\{command}{{{text}}}"
    return f"{text} {{\\scriptsize ({_latex(cell.interval)})}}" if cell.interval else text


def _best_and_second(view: TableView) -> dict[tuple[int, int], str]:
    """The command that marks each best and second best value, by (line, column); ties share a mark."""
    marks: dict[tuple[int, int], str] = {}
    for j, head in enumerate(view.heads):
        cells = {
            i: float(line.cells[j].sort)
            for i, line in enumerate(view.lines)
            if line.kind == "measured"
            and line.cells[j].status == "ok"
            and line.cells[j].sort
            and not line.cells[j].note
        }
        arrow = next((sign for sign in "↓↑" if sign in head.unit), "")
        if len(cells) < 2 or not arrow:
            continue
        texts = {i: view.lines[i].cells[j].text for i in cells}
        order = sorted(cells, key=cells.__getitem__, reverse=arrow == "↑")
        distinct = list(dict.fromkeys(texts[i] for i in order))
        if len(distinct) < 2:
            continue  # a best among equals is no best
        for text, command in zip(distinct[:2], ("textbf", "underline"), strict=False):
            marks |= {(i, j): command for i in cells if texts[i] == text}
    return marks
