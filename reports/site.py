"""The page of a protocol run: one static folder that opens from disk, without a network or a script.

The same results give the same bytes: everything is sorted, and nothing tells when or where it was written.
"""

import base64
import hashlib
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.errors import BenchError
from bench.records import Record
from bench.results import Results
from reports.cases import map_cases
from reports.closest import closest_pairs
from reports.costs import amount, cost_table
from reports.curves import key, panels
from reports.findings import findings, headline
from reports.galleries import sample_grids
from reports.gaps import gaps
from reports.glossary import DIALECTS, METRICS, column_title, level_title, metric_title
from reports.identity import baseline_name, mix_name
from reports.pictures import Album
from reports.tables import Leaderboard, leaderboard
from reports.views import category_table, detectors, gain_table, mean_table

TEMPLATES = Path(__file__).parent / "templates"
SIGNATURE = '<meta name="generator" content="DefectBench">'
"""In the head of every page; a folder whose index.html lacks it is somebody else's."""


def write_site(results: Results, out: Path) -> Path:
    """Write the page of these results into folder `out` and return the path of its index.html.

    Pictures are written first, under names made of their content, then the page takes the place of the last
    one in a single step, then pictures that it no longer shows are removed: whenever this is killed, `out`
    holds a whole page, the old or the new one. Other files in `out` are left alone.

    Raises BenchError if `out` holds an index.html that DefectBench did not write, or cannot be written.
    """
    index = out / "index.html"
    if index.exists() and SIGNATURE not in index.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise BenchError(f"{index} was not written by DefectBench; choose another folder for the report")
    try:
        out.mkdir(parents=True, exist_ok=True)
        album = Album(out)
        _replace(index, render(results, album))
        album.sweep()
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise BenchError(f"cannot write the report to {out}: {error.strerror or error}{where}") from error
    return index


def render(results: Results, album: Album) -> str:
    """The HTML of a page; its pictures go into the album."""
    records = tuple(sorted(results.records, key=_record_order))
    board = leaderboard(records, results.replicates, results.baseline)
    style, script = (TEMPLATES / "page.css").read_text("utf-8"), (TEMPLATES / "page.js").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(amount=amount, mix_name=mix_name, metric_title=metric_title)
    return environment.get_template("page.html").render(
        results=results,
        signature=Markup(SIGNATURE),
        style=Markup(style),
        script=Markup(script),
        # Only these two blocks may act; whatever a name might smuggle in stays text.
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        command=_command(results.provenance),
        provenance={name: value for name, value in results.provenance.items() if name != "command"},
        categories=board.categories,
        seeds=board.seeds,
        findings=findings(board, detectors(board)),
        **_tables(board),
        grids=sample_grids(results.galleries, album),
        closest=closest_pairs(results.near_pairs, album),
        cases=map_cases(results.maps, album),
        panels=panels(results.traces),
        key=key(results.traces),
        baseline=baseline_name(records),
        gaps=gaps(records),
        notes=results.data_notes,
        costs=cost_table(records),
        glossary=_glossary(board),
        measured=sum(record.status == "ok" for record in records),
        total=len(records),
    )


def _tables(board: Leaderboard) -> dict[str, Any]:
    generation = [column for column in board.columns if column.is_generation]
    groups = [("generated images", tuple(generation))] if generation else []
    main, gained, each = [], [], []
    if generation:
        main.append(mean_table(board, generation, "What the images look like"))
    for detector in detectors(board):
        columns = board.columns_of(detector)
        name = board.detectors[detector]
        main.append(mean_table(board, columns, f"What they are worth to {name}"))
        table = gain_table(board, columns, name)
        if table is not None:
            gained.append(table)
        groups.append((name, columns))
    for name, columns in groups:
        first = headline(columns)
        views = [category_table(board, column) for column in columns]
        each.append((name, next(v.title for v, c in zip(views, columns, strict=True) if c == first), views))
    return {"main_tables": main, "gain_tables": gained, "category_tables": each}


def _glossary(board: Leaderboard) -> list[tuple[str, str, str]]:
    """(name, levels, what it is) of each metric and dialect on the page."""
    entries: dict[str, tuple[list[str], str]] = {}
    for column in board.columns:
        text = METRICS.get(column.metric, "")
        if column.dialect != "default":
            text = f"{text} {DIALECTS.get(column.dialect, '')}".strip()
        levels, _ = entries.setdefault(column_title(column), ([], text))
        if level_title(column.level) not in levels:
            levels.append(level_title(column.level))
    lines = [(title, ", ".join(levels), text) for title, (levels, text) in entries.items()]
    if any(column.dialect == "default" for column in board.columns):
        lines.append(("default dialect", "", DIALECTS["default"]))
    return lines


def _command(provenance: Mapping[str, Any]) -> str:
    command = provenance.get("command", "")
    return command if isinstance(command, str) else shlex.join(str(part) for part in command)


def _record_order(record: Record) -> tuple[str, ...]:
    """A total order that does not depend on how a store lists its tasks."""
    names = (
        "kind",
        "level",
        "metric",
        "dialect",
        "category",
        "defect",
        "mix",
        "generator",
        "detector",
        "seed",
        "task",
    )
    return (*(str(getattr(record, name)) for name in names), repr(record))


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
    ) as part:
        part.write(text)
    temporary = Path(part.name)
    # A temporary file is private to its writer; a page is meant to be served.
    temporary.chmod(0o644)
    temporary.replace(path)
