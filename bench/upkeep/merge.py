"""Bring the tasks of another store into this one, without ever mixing lineages.

Two machines may have made different bytes under one key (another library, another GPU). A task is taken in
only if every input it was made from has, here, the bytes it was made from; the rest is reported and stays
there.
"""

import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.errors import BenchError
from bench.store import Leases, Store
from bench.store.integrity import environment_fault
from bench.store.origin import mark_origin
from bench.store.store import read_regular, write_atomically
from bench.upkeep.own_data import differs_from_own_data
from bench.upkeep.quarantine import plan_fault, task_fault


@dataclass
class Merged:
    """What a merge did: keys of tasks."""

    copied: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    """In both stores, byte for byte."""
    differ: list[str] = field(default_factory=list)
    """In both stores, with other bytes."""
    unmatched: list[str] = field(default_factory=list)
    """Only there, and made from what differs here or is not here."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Only there, and not what was written, or not of the right types: key to what is wrong."""
    refused: dict[str, str] = field(default_factory=dict)
    """Plans and environments that stay there, by their path in the store, to what is wrong."""


def merge(store: Store, other: Store) -> Merged:
    """Copy what can be copied from `other` into `store`; plans and environments too.

    The other store is in quarantine: each task, plan and environment is checked by itself, and what its
    manifest does not vouch for, what is of a wrong type or no regular file stays there. What that machine
    remembers of its own data (`sources`) is never taken, and pools of real data are made again from the data
    of this machine where it has them. What is taken is marked with the store that it came from.
    """
    if store.root.resolve() == other.root.resolve():
        raise BenchError(f"{other.root} is the store itself; name another one to merge in")
    merged = Merged()
    merged.refused = _copy_texts(store, other)
    leases = Leases(store.root, "merge")  # a run that begins meanwhile takes nobody's folder for left over
    for key in _inputs_first(other, merged):
        try:
            _merge_task(store, other, key, leases, merged)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            merged.damaged[key] = f"a file cannot be read ({error.strerror})"
    return merged


def _merge_task(store: Store, other: Store, key: str, leases: Leases, merged: Merged) -> None:
    manifest = other.manifest(key)
    if store.done(key) or (store.dropped(key) and other.dropped(key)):
        alike = store.manifest(key).content == manifest.content
        (merged.equal if alike else merged.differ).append(key)
        return
    if not all(
        (store.done(used) or store.dropped(used)) and store.manifest(used).content == content
        for used, content in manifest.inputs.items()
    ):
        merged.unmatched.append(key)
        return
    fault = task_fault(other, key) or differs_from_own_data(store, other, key)
    if fault:
        merged.damaged[key] = fault
        return
    if not leases.acquire(key):
        raise BenchError(f"{key} is being made in {store.root} now; merge again when that run has ended")
    try:
        with store.writing(key) as aside:
            shutil.copytree(other.folder(key), aside, dirs_exist_ok=True, symlinks=True)
            mark_origin(store, aside, other)
            store.place(aside, key)
    finally:
        leases.release(key)
    merged.copied.append(key)


def _copy_texts(store: Store, other: Store) -> dict[str, str]:
    """Plans come before the tasks: `bench gc` takes a task that is in no plan for garbage."""
    refused = {}
    for folder, pattern in (("env", "*.json"), ("runs", "*.plan")):
        for path in sorted((other.root / folder).glob(pattern)):
            target = store.root / folder / path.name
            if target.exists():
                continue
            if path.is_symlink():
                fault = "it is a link"
            else:
                fault = environment_fault(other, path.stem) if folder == "env" else plan_fault(path)
            if fault:
                refused[f"{folder}/{path.name}"] = fault
                continue
            with store.planning():
                write_atomically(target, read_regular(path).decode())
    return refused


def _inputs_first(other: Store, merged: Merged) -> Iterator[str]:
    """The keys of all tasks whose manifests can be read, each after the tasks it was made from."""
    inputs: dict[str, list[str]] = {}
    for key in other.keys(dropped=True):
        try:
            manifest = other.manifest(key)
        except BenchError as error:
            merged.damaged[key] = str(error)
            continue
        if manifest.key != key:
            merged.damaged[key] = "its manifest is that of another task"
            continue
        inputs[key] = list(manifest.inputs)
    visited = set()
    keys = list(inputs)
    for start in keys:
        stack = [(start, False)]
        while stack:
            key, inputs_listed = stack.pop()
            if inputs_listed:
                yield key
            elif key not in visited:
                visited.add(key)
                stack.append((key, True))
                stack.extend((used, False) for used in inputs[key] if used in inputs)
