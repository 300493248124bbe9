"""Records and leaderboards as files for other programs and for papers.

csv, parquet and json hold every field of every record; json reads back into the same records. markdown and
latex hold the leaderboard: one table of means over categories for the generated images and one a detector.
"""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Literal, get_args

from bench.errors import BenchError, did_you_mean
from bench.records import Record
from reports.cells import Replicates
from reports.tables import Leaderboard, leaderboard
from reports.views import CellView, TableView, detectors, mean_table

Format = Literal["csv", "parquet", "json", "markdown", "latex"]
FORMATS: tuple[str, ...] = get_args(Format)
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
    "−": "$-$",
    "–": "--",
    "—": "---",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


def export(
    records: Iterable[Record],
    path: Path,
    format: str,
    replicates: Replicates | None = None,
    baseline: str = "real",
) -> Path:
    """Write records to `path` in a format of FORMATS and return the path.

    `replicates`, as in `bench.results.Results`, gives markdown and latex their intervals and best values;
    `baseline` is the mix that stands there as the baseline.
    Raises BenchError on an unknown format or a path that cannot be written.
    """
    records = list(records)
    if format == "parquet":
        content = _parquet(records)
    elif format in FORMATS:
        writers = {"csv": _csv, "json": _json}
        tables = {"markdown": markdown, "latex": latex}
        if format in writers:
            content = writers[format](records).encode()
        else:
            content = tables[format](leaderboard(records, replicates, baseline)).encode()
    else:
        raise BenchError(did_you_mean("export format", format, FORMATS))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".part", delete=False) as part:
            part.write(content)
        temporary = Path(part.name)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def read_json(path: Path) -> list[Record]:
    """The records of a file that `export` wrote as json."""
    return [Record(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _names() -> list[str]:
    return [field.name for field in fields(Record)]


def _json(records: Sequence[Record]) -> str:
    return (
        json.dumps([asdict(record) for record in records], indent=1, sort_keys=True, allow_nan=False) + "\n"
    )


def _csv(records: Sequence[Record]) -> str:
    """Floats in their shortest form that reads back the same; an empty cell is None."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, _names(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in records)
    return out.getvalue()


def _parquet(records: Sequence[Record]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    kinds = {int: pyarrow.int64(), float: pyarrow.float64()}
    by_type = {field.name: _base(field.type) for field in fields(Record)}
    schema = pyarrow.schema([(name, kinds.get(by_type[name], pyarrow.string())) for name in _names()])
    table = pyarrow.Table.from_pylist([asdict(record) for record in records], schema=schema)
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _base(annotation: object) -> type:
    """int, float or str of a field's type, with or without None."""
    members = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    return members[0] if members[0] in (int, float) else str


def _tables(board: Leaderboard) -> list[TableView]:
    generation = [column for column in board.columns if column.is_generation]
    tables = [mean_table(board, generation, "Generated images")] if generation else []
    for detector in detectors(board):
        tables.append(mean_table(board, board.columns_of(detector), board.detectors[detector]))
    return tables


def _text(cell: CellView) -> str:
    if cell.status != "ok":
        return "" if cell.status == "absent" else cell.status
    return f"{cell.text} ({cell.interval})" if cell.interval else cell.text


def _head_cells(view: TableView) -> list[str]:
    heads = [" ".join(part for part in (each.group, each.title, each.unit) if part) for each in view.heads]
    return [view.corner, *(["mix"] if view.has_mix else []), *heads]


def markdown(board: Leaderboard) -> str:
    """The leaderboard in Markdown; the best of a column is bold where its rank says so."""

    def line(cells: Iterable[str]) -> str:
        escaped = (cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        return "| " + " | ".join(" ".join(cell.split()) for cell in escaped) + " |\n"

    parts = []
    for view in _tables(board):
        heads = _head_cells(view)
        rule = "|" + "|".join(["---"] * (len(heads) - len(view.heads)) + ["---:"] * len(view.heads)) + "|\n"
        text = f"**{view.title}**\n\n" + line(heads) + rule
        for row in view.lines:
            values = [
                f"**{cell.text}** ({cell.interval})" if cell.best else _text(cell) for cell in row.cells
            ]
            text += line([row.label, *([row.mix] if view.has_mix else []), *values])
        parts.append(text)
    return "\n".join(parts)


def latex(board: Leaderboard) -> str:
    """The leaderboard as booktabs tables: rank 1 bold, rank 2 underlined, intervals left to the page."""

    def escape(text: str) -> str:
        return "".join(_LATEX.get(letter, letter) for letter in text)

    parts = ["% needs \\usepackage{booktabs}\n"]
    for view in _tables(board):
        heads = _head_cells(view)
        columns = "l" * (len(heads) - len(view.heads)) + "r" * len(view.heads)
        lines = [
            "\\begin{table}\n\\centering",
            f"\\caption{{{escape(view.title)}}}",
            f"\\begin{{tabular}}{{{columns}}}\n\\toprule",
            " & ".join(escape(head) for head in heads) + " \\\\\n\\midrule",
        ]
        for row in view.lines:
            cells = [escape(row.label), *([escape(row.mix)] if view.has_mix else [])]
            for cell in row.cells:
                shown = escape(cell.text if cell.status == "ok" else _text(cell))
                command = {"1": "textbf", "2": "underline"}.get(cell.rank)
                cells.append(f"\\{command}{{{shown}}}" if command else shown)
            lines.append(" & ".join(cells) + " \\\\")
        lines.append("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
        parts.append("\n".join(lines))
    return "\n".join(parts)
