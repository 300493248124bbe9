"""The command that makes one row of a leaderboard again, from the command that made all of them.

Generators and detectors are narrowed to those of the row. Categories, seeds and settings stay: a detector
may be trained on all categories, and which other methods a run holds changes no number
(docs/explanation/architecture.md).
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.record.record import Record
from reports.board.identity import Column, Method, Row


@dataclass(frozen=True)
class RerunCommand:
    """How to make one row with one detector again."""

    command: str
    note: str
    """What else the command makes, or what must be there first; may be empty."""
    tasks: tuple[tuple[str, int, str], ...]
    """(category, seed, key of the scoring task)."""


def rerun_commands(
    records: Iterable[Record], commands: Mapping[str, str]
) -> dict[tuple[Row, Method], RerunCommand]:
    """The command of each row and detector (or none, for the images themselves) with a command."""
    groups: dict[tuple[Row, Method], list[Record]] = {}
    for record in records:
        if record.task in commands and record.level != "cost":
            groups.setdefault((Row.of(record), Column.of(record).detector), []).append(record)
    reruns = {}
    for (row, detector), members in groups.items():
        command = next((commands[record.task] for record in members if commands[record.task]), "")
        narrowed, note = narrow(command, str(row.generator), str(detector)) if command else ("", "")
        tasks = sorted({(record.category, record.seed, record.task) for record in members})
        reruns[row, detector] = RerunCommand(narrowed, note, tuple(tasks))
    return reruns


def narrow(command: str, generator: str, detector: str) -> tuple[str, str]:
    """A `bench run` command with one generator and one detector, and a note on what it makes beside them.

    "none" keeps the command's own list, because a run has at least one of each.
    """
    words = shlex.split(command)
    whole_lists = []
    for option, name in (("--generators", generator), ("--detectors", detector)):
        if name != "none":
            words = _with(words, option, name)
        else:
            whole_lists.append(f"the command's {option.removeprefix('--')}")
    note = ""
    if whole_lists:
        note = f"also makes the rows of {' and '.join(whole_lists)}, which no number here depends on"
    return shlex.join(words), note


def _with(words: list[str], option: str, name: str) -> list[str]:
    """The words with this option set to one name, in its own place or at the end."""
    if option in words[:-1]:
        position = words.index(option) + 1
        return [*words[:position], name, *words[position + 1 :]]
    return [*words, option, name]
