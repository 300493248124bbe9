"""Whether a stored task is as it was written."""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.record.contents import file_fault
from bench.store.manifest import Manifest
from bench.store.store import Store, file_sha256, read_regular
from bench.tasks import digest

_FIT = ".fit"
"""How the names of the stages end in whose folders methods write themselves."""
_NUMBERS = (".csv", ".json", ".jsonl")


@dataclass(frozen=True)
class StoredFile:
    """A file below out/, and all by which a change of it shows without reading it."""

    name: str
    is_regular: bool
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def damage(store: Store, key: str) -> str:
    """What is wrong with a stored task, or an empty text. Every file is hashed."""
    if fault := task_fault(store, key, stored_files(store, key)):
        return fault
    for used, content in store.manifest(key).inputs.items():
        with suppress(BenchError):  # an input that cannot be read is damaged itself, and told as that
            if store.done(used) and store.manifest(used).content != content:
                return f"its input {used[:12]} has other content than the one it was made from"
    return ""


def task_fault(
    store: Store,
    key: str,
    files: Mapping[str, StoredFile],
    *,
    numbers_only: bool = False,
    is_dropped: bool = False,
) -> str:
    """What is wrong with a task, whatever it was made from; the options are those of `files_fault`."""
    try:
        manifest = store.manifest(key)
    except BenchError:
        return "its manifest cannot be read"
    if manifest.key != key:
        return "its manifest is that of another task"
    try:
        definition = store.definition(key)
    except BenchError:
        return "its definition cannot be read, or is not that of its key"
    if fault := manifest.fault:
        return fault
    fault = files_fault(store, manifest, files, numbers_only=numbers_only, is_dropped=is_dropped)
    return fault or contents_fault(store.out(key), files, definition)


def stored_files(store: Store, key: str) -> dict[str, StoredFile]:
    """Path below out/ to each file that lies there; links are not followed."""
    return {file.name: file for file in _walk(f"{store.root}/tasks/{key[:2]}/{key}/out", "")}


def _walk(folder: str, prefix: str) -> Iterator[StoredFile]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{prefix}{entry.name}/")
        else:
            facts = entry.stat(follow_symlinks=False)
            yield StoredFile(
                prefix + entry.name,
                stat.S_ISREG(facts.st_mode),
                facts.st_size,
                facts.st_mtime_ns,
                facts.st_ctime_ns,
                facts.st_ino,
            )


def files_fault(
    store: Store,
    manifest: Manifest,
    files: Mapping[str, StoredFile],
    *,
    numbers_only: bool = False,
    is_dropped: bool = False,
) -> str:
    """What in out/ does not match the manifest, or an empty text.

    numbers_only: arrays of pixels are not hashed. is_dropped: files may be gone.
    """
    out = store.out(manifest.key)
    for name, facts in manifest.files.items():
        file = files.get(name)
        if file is None and is_dropped:
            continue
        if file is None:
            return f"{name} is missing"
        if not file.is_regular:
            return f"{name} is not a regular file"
        hashed = not numbers_only or holds_numbers(name)
        if file.size != facts["size"] or (hashed and file_sha256(out / name) != facts["sha256"]):
            return f"{name} was changed"
    extra = sorted(files.keys() - manifest.files.keys())
    return f"{extra[0]} was added" if extra else ""


def contents_fault(out: Path, names: Iterable[str], definition: Mapping[str, Any]) -> str:
    """What of a task's numbers is not of the types that its stage writes, or an empty text.

    A model is what its method makes it: files of any name may hold anything.
    """
    if str(definition.get("stage")).endswith(_FIT):
        return ""
    params = definition.get("params")
    labels = params.get("labels") if isinstance(params, dict) else None
    numbers = (name for name in sorted(names) if holds_numbers(name))
    return next((fault for name in numbers if (fault := file_fault(out, name, labels))), "")


def holds_numbers(name: str) -> bool:
    """Whether pages and tables take numbers from this file; the others hold pixels, maps and weights."""
    return name.endswith(_NUMBERS) or name.startswith("replicates/")


def environment_fault(store: Store, name: str) -> str:
    """What is wrong with a stored environment, whose name is the digest of its content."""
    try:
        facts = json.loads(read_regular(store.root / "env" / f"{name}.json"))
        is_named = isinstance(facts, dict) and digest(facts)[:16] == name
    except (OSError, ValueError, RecursionError):
        return "it cannot be read"
    return "" if is_named else "its content is not the one that its name is the digest of"
