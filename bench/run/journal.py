"""The journal of a run: what it wants and what it does now, for `bench status` in another terminal.

Nothing is decided from it: whether a task is done is asked of the store alone.
"""

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.run.jobs import Event
from bench.store.store import write_atomically

_WRITE_EVERY = 1.0


class Journal:
    """A small JSON file, rewritten at most once a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: dict[str, Any] = {}
        self._written = 0.0

    def begin(self, about: Mapping[str, Any], goals: Sequence[str], todo: int) -> None:
        write_atomically(self.path.with_suffix(".goals"), "\n".join(goals))
        self.state = {
            **about,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "begun": time.time(),
            "ended": None,
            "todo": todo,
            "finished": 0,
            "running": {},
            "failed": {},
            "blocked": {},
        }
        self._write(now=True)

    def started(self, key: str, title: str) -> None:
        self.state["running"][key] = {"title": title, "since": time.time(), "done": 0, "total": 0, "note": ""}
        self._write()

    def progress(self, event: Event) -> None:
        running = self.state["running"].get(event.key)
        if running is not None:
            running.update(done=event.done, total=event.total, note=event.note)
            self._write()

    def ended(self, key: str, *, again: bool = False) -> None:
        """The task runs no more; `again`: it is not finished, and will be begun once more."""
        self.state["running"].pop(key, None)
        self.state["finished"] += not again
        self._write()

    def end(self, failed: Mapping[str, str], blocked: Mapping[str, str]) -> None:
        self.state.update(ended=time.time(), failed=dict(failed), blocked=dict(blocked), running={})
        self._write(now=True)

    def _write(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._written > _WRITE_EVERY:
            self._written = time.monotonic()
            try:
                write_atomically(self.path, json.dumps(self.state, sort_keys=True))
            except OSError:
                if now:
                    raise


def newest_journal(folder: Path) -> dict[str, Any] | None:
    """The journal of the last `bench run` that began, or None."""
    held = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    runs = [journal for journal in held if journal.get("plan")]
    return max(runs, key=lambda journal: journal["begun"], default=None)
