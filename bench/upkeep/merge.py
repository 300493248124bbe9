"""Bring the tasks of another store into this one, without ever mixing lineages.

Two machines may have made different bytes under one key (another library, another GPU). A task is taken in
only if every input it was made from has, here, the bytes it was made from; the rest is reported and stays
there.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.errors import BenchError
from bench.store import Leases, Store
from bench.store.integrity import damage
from bench.store.store import write_atomically


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
    """Only there, and not what was written: key to what is wrong."""


def merge(store: Store, other: Store) -> Merged:
    """Copy what can be copied from `other` into `store`; plans, environments and sources too.

    The other store is not trusted to be whole: what its manifests do not vouch for stays there, and so does
    what a link leads to.
    """
    if store.root.resolve() == other.root.resolve():
        raise BenchError(f"{other.root} is the store itself; name another one to merge in")
    _copy_texts(store, other)
    merged = Merged()
    leases = Leases(store.root, "merge")  # a run that begins meanwhile takes nobody's folder for left over
    for key in _inputs_first(other):
        manifest = other.manifest(key)
        if store.done(key) or (store.dropped(key) and other.dropped(key)):
            alike = store.manifest(key).content == manifest.content
            (merged.equal if alike else merged.differ).append(key)
        elif all(
            (store.done(used) or store.dropped(used)) and store.manifest(used).content == content
            for used, content in manifest.inputs.items()
        ):
            fault = _fault(other, key)
            if fault:
                merged.damaged[key] = fault
                continue
            if not leases.acquire(key):
                raise BenchError(
                    f"{key} is being made in {store.root} now; merge again when that run has ended"
                )
            try:
                with store.writing(key) as aside:
                    shutil.copytree(other.folder(key), aside, dirs_exist_ok=True)
                    store.place(aside, key)
            finally:
                leases.release(key)
            merged.copied.append(key)
        else:
            merged.unmatched.append(key)
    return merged


def _copy_texts(store: Store, other: Store) -> None:
    """Plans come before the tasks: `bench gc` takes a task that is in no plan for garbage."""
    for folder, pattern in (("env", "*.json"), ("sources", "*.json"), ("runs", "*.plan")):
        for path in (other.root / folder).glob(pattern):
            target = store.root / folder / path.name
            if path.is_file() and not path.is_symlink() and not target.exists():
                with store.planning():
                    write_atomically(target, path.read_text(errors="replace"))


def _fault(other: Store, key: str) -> str:
    """What is wrong with a task of the other store, or an empty text."""
    folder = other.folder(key)
    for path in folder.rglob("*"):
        if path.is_symlink():
            return f"{path.relative_to(folder).as_posix()} is a link"
    return "" if other.dropped(key) else damage(other, key)


def _inputs_first(other: Store) -> Iterator[str]:
    """The keys of all tasks, each after the tasks it was made from."""
    keys = list(other.keys(dropped=True))
    existing, visited = set(keys), set()
    for start in keys:
        stack = [(start, False)]
        while stack:
            key, inputs_listed = stack.pop()
            if inputs_listed:
                yield key
            elif key not in visited:
                visited.add(key)
                stack.append((key, True))
                stack.extend((used, False) for used in other.manifest(key).inputs if used in existing)
