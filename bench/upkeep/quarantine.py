"""What is asked of a task, a plan and an environment of another store before it is taken.

Its owner is not known: what is read of it afterwards must be of the right types, and made of regular files.
"""

import json
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.planning.plan import Plan, load_plan
from bench.record import catalogue
from bench.record.contents import RECORD_FILES, types_fault
from bench.record.labels import CellLabels
from bench.record.record import read_records
from bench.store import Store
from bench.store.integrity import contents_fault, damage, stored_files
from bench.store.store import read_regular

_DEFINITION = {"stage": str, "version": int, "adapter": str, "params": dict, "seed": int, "inputs": list}
_ABOUT = {"protocol": str, "scale": str, "dataset": str, "banner": str, "warnings": list, "provenance": dict}


def task_fault(other: Store, key: str) -> str:
    """Why a task of another store is not taken, or an empty text."""
    folder = other.folder(key)
    for path in _entries(folder):
        mode = path.lstat().st_mode
        name = path.relative_to(folder).as_posix()
        if stat.S_ISLNK(mode):
            return f"{name} is a link"
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            return f"{name} is not a regular file"
    try:
        manifest = other.manifest(key)
        fault = manifest.fault if other.dropped(key) else damage(other, key)
        return fault or _definition_fault(other, key) or _records_fault(other, key)
    except (BenchError, OSError) as error:
        return str(error)


def plan_fault(path: Path) -> str:
    """Why a plan of another store is not taken, or an empty text."""
    try:
        plan = load_plan(path)
    except BenchError as error:
        return str(error)
    for name, kind in _ABOUT.items():
        if not isinstance(plan.about.get(name), kind):
            return f"its '{name}' is missing or of the wrong type"
    return _command_fault(plan) or _labels_fault(plan)


def _command_fault(plan: Plan) -> str:
    command = plan.about["provenance"].get("command", "")
    try:
        shlex.split(command)
    except (ValueError, AttributeError, TypeError):
        return "its command is not a line of a shell"
    return ""


def _labels_fault(plan: Plan) -> str:
    labels = [node.labels for node in plan.nodes.values() if node.labels is not None]
    labels += [cell.labels for cell in plan.skipped]
    return next((fault for one in labels if (fault := types_fault(one, CellLabels))), "")


def _entries(folder: Path) -> Iterator[Path]:
    yield folder
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *names))


def _definition_fault(other: Store, key: str) -> str:
    definition = json.loads(read_regular(other.folder(key) / "task.json"))
    for name, kind in _DEFINITION.items():
        if type(definition.get(name)) is not kind:
            return f"'{name}' of its definition is of the wrong type"
    pairs = definition["inputs"]
    if not all(isinstance(pair, list) and [type(part) for part in pair] == [str, str] for pair in pairs):
        return "the inputs of its definition are not pairs of a role and a key"
    if {used for _, used in pairs} != other.manifest(key).inputs.keys():
        return "its manifest names other inputs than its definition"
    return ""


def _records_fault(other: Store, key: str) -> str:
    """Files of numbers that are not of the types, or not of the cell, that the task's stage writes."""
    out, names = other.out(key), stored_files(other, key).keys()
    if fault := contents_fault(out, names, other.definition(key)):
        return fault
    for name in RECORD_FILES:
        if name in names and (fault := _catalogue_fault(out / name)):
            return f"{name}: {fault}"
    return ""


def _catalogue_fault(path: Path) -> str:
    """The first level, metric or dialect of a file of records that no entry of the catalogue is about."""
    try:
        for row in read_records(path):
            catalogue.require_known(row.level, row.metric, row.dialect)
    except BenchError as error:
        return str(error)
    return ""
