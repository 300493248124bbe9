"""Records and leaderboards as files for other programs and for papers.

csv, parquet and json hold every field of every record, or the cells of the leaderboard with intervals, ranks
and gains; json of records reads back into the same records. markdown and latex hold the leaderboard: a table
of means over categories for the generated images and one a detector, and the gains over its baseline.
"""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args

from bench.errors import BenchError, did_you_mean
from bench.record.record import Record
from reports.board.cells import Replicates
from reports.board.tables import leaderboard
from reports.files.export_rows import BoardRow, board_rows
from reports.files.export_text import latex, markdown

Format = Literal["csv", "parquet", "json", "markdown", "latex"]
FORMATS: tuple[str, ...] = get_args(Format)
Table = Literal["records", "leaderboard"]
TABLES: tuple[str, ...] = get_args(Table)


def export(
    records: Iterable[Record],
    path: Path,
    format: str,
    replicates: Replicates | None = None,
    baseline: str = "real",
    *,
    table: str = "records",
    published: Sequence[Record] = (),
) -> Path:
    """Write records to `path` in a format of FORMATS and return the path.

    `replicates`, as in `bench.results.run.Results`, gives a leaderboard intervals, ranks and gains,
    `baseline` is the mix that stands there as the baseline. `table`, of TABLES, is what csv, parquet and json
    hold, records, or the cells of the leaderboard; markdown and latex are the leaderboard always. `published`
    adds what papers printed, marked by its kind.
    Raises BenchError on an unknown format or table, or a path that cannot be written.
    """
    records = list(records)
    if format not in FORMATS:
        raise BenchError(did_you_mean("export format", format, FORMATS))
    if table not in TABLES:
        raise BenchError(did_you_mean("table", table, TABLES))
    if format in ("markdown", "latex"):
        board = leaderboard(records, replicates, baseline)
        content = {"markdown": markdown, "latex": latex}[format](board, published, records).encode()
    elif table == "records":
        content = _WRITERS[format]([*records, *published], Record)
    else:
        board = leaderboard(records, replicates, baseline)
        dataset = ", ".join(sorted({record.dataset for record in records}))
        content = _WRITERS[format](board_rows(board, dataset, published), BoardRow)
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
    """The records of a file that `export` wrote as json. Library only, for those who are given one."""
    return [Record(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _json(rows: Sequence[Any], kind: type) -> bytes:
    text = json.dumps([vars(row) for row in rows], indent=1, sort_keys=True, allow_nan=False)
    return f"{text}\n".encode()


def _csv(rows: Sequence[Any], kind: type) -> bytes:
    """Floats in their shortest form that reads back the same; an empty cell is None.

    A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in vars(row).items()} for row in rows)
    return out.getvalue().encode()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What the text of a formula begins with in a spreadsheet."""


def _parquet(rows: Sequence[Any], kind: type) -> bytes:
    import pyarrow
    import pyarrow.parquet

    kinds = {int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema(
        [(field.name, kinds.get(_base(field.type), pyarrow.string())) for field in fields(kind)]
    )
    table = pyarrow.Table.from_pylist([vars(row) for row in rows], schema=schema)
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _base(annotation: object) -> type:
    """int, float or str of a field's type, with or without None."""
    members = [member for member in get_args(annotation) if member is not type(None)] or [annotation]
    return members[0] if members[0] in (int, float) else str


_WRITERS: Mapping[str, Callable[[Sequence[Any], type], bytes]] = {
    "csv": _csv,
    "parquet": _parquet,
    "json": _json,
}
