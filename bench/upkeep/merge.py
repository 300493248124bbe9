"""Bring the tasks of another store into this one, without ever mixing lineages.

Two machines may have made different bytes under one key (another library, another GPU). A task is taken in
only if every input it was made from has, here, the bytes it was made from; the rest is told and stays apart.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.errors import BenchError
from bench.store import Store


@dataclass
class Merged:
    """What came of it: keys."""

    taken: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    """In both stores, byte for byte."""
    differ: list[str] = field(default_factory=list)
    """In both stores, with other bytes."""
    apart: list[str] = field(default_factory=list)
    """Only there, and made from what differs here or is not here."""


def merge(store: Store, other: Store) -> Merged:
    """Copy what can be copied from `other` into `store`; plans, environments and sources too."""
    if store.root.resolve() == other.root.resolve():
        raise BenchError(f"{other.root} is the store itself; name another one to merge in")
    found = Merged()
    for key in _inputs_first(other):
        manifest = other.manifest(key)
        if store.done(key) or (store.dropped(key) and other.dropped(key)):
            alike = store.manifest(key).content == manifest.content
            (found.equal if alike else found.differ).append(key)
        elif all(
            (store.done(used) or store.dropped(used)) and store.manifest(used).content == content
            for used, content in manifest.inputs.items()
        ):
            with store.writing(key) as aside:
                shutil.copytree(other.folder(key), aside, dirs_exist_ok=True)
                store.place(aside, key)
            found.taken.append(key)
        else:
            found.apart.append(key)
    for folder, pattern in (("env", "*.json"), ("runs", "*.plan"), ("sources", "*")):
        for path in (other.root / folder).glob(pattern):
            target = store.root / folder / path.name
            if path.is_file() and not target.exists():
                shutil.copyfile(path, target)
    return found


def _inputs_first(other: Store) -> Iterator[str]:
    """The keys of all tasks, each after the tasks it was made from."""
    keys = list(other.keys(dropped=True))
    there, seen = set(keys), set()
    for start in keys:
        stack = [(start, False)]
        while stack:
            key, inputs_told = stack.pop()
            if inputs_told:
                yield key
            elif key not in seen:
                seen.add(key)
                stack.append((key, True))
                stack.extend((used, False) for used in other.manifest(key).inputs if used in there)
