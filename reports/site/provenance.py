"""How the numbers were made: commands that make them again, data, machine, and what each metric is."""

import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reports.board.glossary import column_title, dialect_sentence, level_title, metric_sentence
from reports.board.identity import mix_name
from reports.board.tables import Leaderboard
from reports.site.run_board import IMAGES, Page, RunBoard


def pages(run: RunBoard) -> Iterator[Page]:
    yield Page("reproduce.html", "reproduce.html", partial(_context, run))


def _context(run: RunBoard) -> Mapping[str, Any]:
    board, provenance = run.board, run.results.provenance
    return {
        "command": _command(provenance),
        "recipes": [
            {
                "anchor": anchor,
                "label": board.labels.get(row, str(row.generator)),
                "mix": mix_name(row.mix) if row.mix and not board.is_baseline(row) else "",
                "detector": board.detectors[detector] if detector.name != "none" else IMAGES,
                "recipe": run.rerun_commands[row, detector],
            }
            for (row, detector), anchor in run.anchors.items()
        ],
        "notes": run.results.data_notes,
        "provenance": {name: value for name, value in provenance.items() if name != "command"},
        "glossary": glossary(board),
    }


def glossary(board: Leaderboard) -> list[tuple[str, str, str]]:
    """(name, levels, what it is) of each metric and dialect on a board."""
    entries: dict[str, tuple[list[str], str]] = {}
    for column in board.columns:
        text = metric_sentence(column.metric)
        if column.dialect != "default":
            text = f"{text} {dialect_sentence(column.dialect)}".strip()
        levels, _ = entries.setdefault(column_title(column), ([], text))
        if level_title(column.level) not in levels:
            levels.append(level_title(column.level))
    lines = [(title, ", ".join(levels), text) for title, (levels, text) in entries.items()]
    if any(column.dialect == "default" for column in board.columns):
        lines.append(("default dialect", "", dialect_sentence("default")))
    return lines


def _command(provenance: Mapping[str, Any]) -> str:
    command = provenance.get("command", "")
    return command if isinstance(command, str) else shlex.join(str(part) for part in command)
