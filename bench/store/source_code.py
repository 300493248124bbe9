"""The source of DefectBench that runs: a digest per package, and what other source of one version has made.

Versions of adapters and stages decide what is made again. Source that changed without a new version makes
other results under the same keys, so it is noticed where a run begins.
"""

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bench.errors import BenchError
from bench.installation import HOME, PACKAGES
from bench.store.environment import environment
from bench.store.notes import read_note, write_note
from bench.store.store import Store
from bench.tasks import Task, closure, digest

_MAKES = {"bench": "", "generators": "generator.", "detectors": "detector."}
"""Packages whose source makes results, and the beginning of the names of the stages that run it."""
_Source = Mapping[str, str]


@functools.cache
def source_digests() -> _Source:
    """Package to the digest of its Python source, as it is on this disk."""
    return {package: _digest(HOME / package) for package in PACKAGES}


def source_of(store: Store) -> _Source:
    """`source_digests`, taken from the store where no file has changed since they were written there."""
    state, path = digest([str(HOME), *_states(HOME)]), store.root / "runs" / "source"
    stored = read_note(path, {"state": str, "digests": dict})
    if stored is not None and stored["state"] == state and stored["digests"].keys() == set(PACKAGES):
        return dict(stored["digests"])
    digests = dict(source_digests())
    write_note(path, {"state": state, "digests": digests})
    return digests


def changed_source(store: Store, goals: Iterable[Task]) -> str:
    """The sentence about finished tasks, of all that the goals rest on, that other source of the same version
    made; "" without any."""
    others = _other_sources(store)
    if not others:
        return ""
    changed: set[str] = set()
    of_other_source: list[Task] = []
    for task in closure(goals).values():
        if store.done(task.key):
            packages = others.get(_environment_of(store, task), ())
            of_task = [package for package in packages if task.stage.startswith(_MAKES[package])]
            if of_task:
                changed.update(of_task)
                of_other_source.append(task)
    if not of_other_source:
        return ""
    names = " and ".join(sorted(changed))
    count = (
        f"{len(of_other_source)} tasks of this run were"
        if len(of_other_source) > 1
        else "a task of this run was"
    )
    first = of_other_source[0].title
    return (
        f"note: the source of {names} changed since {count} made under the same version ({first}); the "
        "results are kept: raise the version of what changed, or use another store"
    )


def _environment_of(store: Store, task: Task) -> str:
    """ "" of a task whose manifest is damaged: it will be set aside, and made by the source that is here."""
    try:
        return store.manifest(task.key).env
    except BenchError:
        return ""


def _other_sources(store: Store) -> dict[str, tuple[str, ...]]:
    """Environments of this version of DefectBench and other source, to the packages that differ."""
    others: dict[str, tuple[str, ...]] = {}
    paths = list((store.root / "env").glob("*.json"))
    if not paths:
        return others
    version, source_here = environment()["packages"].get("defectbench"), source_of(store)
    for path in paths:
        try:
            facts = read_note(path, {"source": dict, "packages": dict}) or {}
            source = facts["source"]
            if facts["packages"].get("defectbench") == version:
                differing = tuple(package for package in _MAKES if source[package] != source_here[package])
                others |= {path.stem: differing} if differing else {}
        except LookupError:
            continue  # of an older version, or damaged: nothing is known of its source
    return others


def _digest(folder: Path) -> str:
    names = sorted(_files(str(folder)))
    content = hashlib.sha256()
    for name in names:
        content.update(f"{os.path.relpath(name, folder)}\0".encode())
        content.update(hashlib.sha256(Path(name).read_bytes()).digest())
    return content.hexdigest()[:16]


def _states(home: Path) -> list[tuple[str, int, int, int]]:
    """Path, time of change, size and inode of every source file."""
    states = []
    for package in PACKAGES:
        for name in sorted(_files(str(home / package))):
            status = os.stat(name)  # noqa: PTH116 a Path for each of hundreds of files costs more than the look
            states.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
    return states


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path
