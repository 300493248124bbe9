"""Fingerprints of a data set: of what is in its files, in which role and order, never of where they are.

A data set that is copied, renamed or mounted elsewhere keeps its fingerprint; one changed byte of one mask
changes it. File names are left out too: the order that they give is in.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.data.layout import Category, Dataset, Item
from bench.errors import BenchError
from bench.files import file_bytes
from bench.parallel import in_order

_SETTLED_NS = 2_000_000_000
"""A file younger than this may change again within one tick of its file system's clock: not cached."""


class Digests:
    """sha256 of files, remembered by absolute path, size, times and inode in a JSON file (if given).

    Several processes may use one file: each saves what it and the file know, by an atomic rename.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._known = _load(cache)
        self._new: dict[str, str] = {}

    def of(self, path: Path, data: bytes | None = None) -> str:
        """sha256 of a file, hexadecimal; `data`: its bytes, if already read. Raises BenchError."""
        try:
            key, settled = _identity(path)
            if key in self._known:
                return self._known[key]
            digest = hashlib.sha256(file_bytes(path) if data is None else data).hexdigest()
        except OSError as error:
            raise BenchError(f"cannot read {path}: {error.strerror}") from None
        if settled:
            self._known[key] = self._new[key] = digest
        return digest

    def save(self) -> None:
        """Write what was learnt to the cache file; nothing where there is none or nothing is new."""
        if self._cache is None or not self._new:
            return
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        part = self._cache.with_name(f"{self._cache.name}.{os.getpid()}.part")
        part.write_text(json.dumps({**_load(self._cache), **self._new}, indent=0, sort_keys=True))
        part.replace(self._cache)
        self._new = {}


def _identity(path: Path) -> tuple[str, bool]:
    state = path.stat()
    # the time of a change and the inode cannot be set back as the time of the content can
    times = f"{state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
    key = f"{state.st_size} {times} {path.absolute()}"
    return key, time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > _SETTLED_NS


def _load(cache: Path | None) -> dict[str, str]:
    try:
        digests = json.loads(cache.read_text()) if cache is not None else {}
    except (OSError, ValueError):
        return {}
    return digests if isinstance(digests, dict) else {}


def item_digest(item: Item, digests: Digests) -> str:
    """sha256 over the contents of an image, its mask and its depth map."""
    files = (item.path, item.mask_path, item.depth_path)
    return _digest([None if path is None else digests.of(path) for path in files])


def part_digest(items: Iterable[Item], digests: Digests | None = None) -> str:
    """sha256 over the contents of items in their order."""
    digests = digests or Digests()
    return _digest([item_digest(item, digests) for item in items])


def part_content(pairs: Iterable[tuple[Item, str]], digests: Digests) -> str:
    """sha256 over the contents of a part, the defect and the name of each image: what tasks call it."""
    listed = list(pairs)
    # names too: they stand in the index of the pool, and near-duplicates are reported by them
    names = [[defect, item.stem] for item, defect in listed]
    return _digest([part_digest([item for item, _ in listed], digests), names])


def category_fingerprint(category: Category, digests: Digests | None = None) -> str:
    """sha256 over a category: its name, its parts, the names and order of its defects, all contents."""
    digests = digests or Digests()
    return _digest(
        {
            "category": category.name,
            "train/good": part_digest(category.train_good, digests),
            "test/good": part_digest(category.test_good, digests),
            "defects": [[name, part_digest(items, digests)] for name, items in category.defects.items()],
        }
    )


def dataset_fingerprint(
    dataset: Dataset,
    digests: Digests | None = None,
    *,
    progress: Callable[..., None] | None = None,
    workers: int | None = None,
) -> str:
    """sha256 over the categories of a data set, hexadecimal. Saves `digests`."""
    digests = digests or Digests()
    items = [item for category in dataset.categories for item in category.items]
    for done, _ in enumerate(in_order(lambda item: item_digest(item, digests), items, workers), 1):
        if progress is not None:
            progress(done, len(items))
    fingerprint = _digest([category_fingerprint(category, digests) for category in dataset.categories])
    digests.save()
    return fingerprint


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
