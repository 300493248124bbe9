"""A store as reports read it: a task whose files do not match its manifest has failed.

What was hashed and read is remembered in the store until a file of the task changes in any way. Pictures,
maps and weights are held against their size alone; `bench verify` hashes them too.
"""

import json
import os
import time
from contextlib import suppress
from typing import Any

from bench.store.integrity import StoredFile, environment_fault, stored_files, task_fault
from bench.store.store import DROPPED, Store, read_regular, write_atomically
from bench.tasks import digest

_LOOKS = 2
"""Rises with what is looked at: what an earlier version found sound is looked at again."""
_SETTLED_NS = 2_000_000_000
"""A file younger than this may change again within one tick of its file system's clock: not remembered."""


class CheckedStore(Store):
    """A store that takes damaged tasks for failed ones; `faults` holds those that were asked for."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.root)
        self.faults: dict[str, str] = {}
        """Key of each damaged task to what is wrong with it, and in which file."""
        self.damaged_files: dict[str, str] = {}
        self._sound: set[str] = set()
        self._memory = store.root / "runs" / "hashed"
        self._remembered = self._read_memory()
        self._new: dict[str, str] = {}

    def done(self, key: str) -> bool:
        return super().done(key) and not self._fault(key)

    def dropped(self, key: str) -> bool:
        return not super().done(key) and super().dropped(key) and not self._fault(key)

    def failed(self) -> set[str]:
        return super().failed() | self.faults.keys()

    def failure(self, key: str) -> dict[str, Any] | None:
        """Also of a task that is there, and damaged."""
        if key in self.faults:
            return {"error": f"the stored result is damaged: {self.faults[key]}", "damaged": True}
        return super().failure(key)

    def environment(self, name: str) -> dict[str, Any]:
        """What versions on what machine; {"unknown": name} where it is missing or not that of its name."""
        path = self.root / "env" / f"{name}.json"
        if not path.exists():
            return {"unknown": name}
        fault = environment_fault(self, name)
        if fault:
            self.damaged_files[f"env/{name}.json"] = fault
            return {"unknown": name}
        return json.loads(read_regular(path))

    @property
    def all_faults(self) -> dict[str, str]:
        """Each damaged task, and each damaged file beside the tasks, to what is wrong with it."""
        return {**self.faults, **self.damaged_files}

    def remember(self) -> None:
        """Keep what was hashed for the next command; nothing where the store cannot be written."""
        if self._new:
            memory = {**self._read_memory(), **self._new}
            with suppress(OSError):
                write_atomically(self._memory, json.dumps(memory, indent=0, sort_keys=True))
            self._new = {}

    def _fault(self, key: str) -> str:
        if key in self._sound:
            return ""
        if key not in self.faults:
            fault = self._look(key)
            if not fault:
                self._sound.add(key)
                return ""
            self.faults[key] = fault
        return self.faults[key]

    def _look(self, key: str) -> str:
        files = stored_files(self, key)
        state, settled = self._state(key, files)
        if self._remembered.get(key) == state:
            return ""
        try:
            fault = task_fault(self, key, files, numbers_only=True, is_dropped=not super().done(key))
        except OSError as error:
            return f"a file cannot be read ({error.strerror})"
        if not fault and settled:
            self._new[key] = state
        return fault

    def _state(self, key: str, files: dict[str, StoredFile]) -> tuple[str, bool]:
        """Digest of all by which a change shows, and whether the files are old enough to be remembered."""
        name = "manifest.json" if super().done(key) else DROPPED
        folder = f"{self.root}/tasks/{key[:2]}/{key}"
        stats = [_stat(f"{folder}/{name}"), _stat(f"{folder}/task.json")]
        rows = [
            (file.name, file.is_regular, file.size, file.mtime_ns, file.ctime_ns, file.inode)
            for file in files.values()
        ]
        newest = max(
            [facts.st_ctime_ns for facts in stats if facts] + [file.ctime_ns for file in files.values()],
            default=0,
        )
        beside = [
            facts and [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino] for facts in stats
        ]
        return digest([_LOOKS, name, beside, sorted(rows)]), time.time_ns() - newest > _SETTLED_NS

    def _read_memory(self) -> dict[str, str]:
        try:
            memory = json.loads(self._memory.read_bytes())
        except (OSError, ValueError):
            return {}
        return memory if isinstance(memory, dict) else {}


def checked(store: Store) -> CheckedStore:
    """The store as reports read it."""
    return store if isinstance(store, CheckedStore) else CheckedStore(store)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116, 100,000 of these
    except OSError:
        return None
