"""The journal of a run: what it wants and what it does now, for `bench status` in another terminal.

Nothing is decided from it: whether a task is done is asked of the store alone.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.runner.jobs import Event
from bench.store.notes import Types, has_fields, read_note, write_note, write_over

_WRITE_EVERY = 1.0
_NUMBER = (int, float)
_FIELDS: Types = {"begun": _NUMBER}
_MORE_FIELDS: Types = {
    "command": str,
    "plan": (str, type(None)),
    "scores": str,
    "host": str,
    "pid": int,
    "number": int,
    "ended": (*_NUMBER, type(None)),
    "running": dict,
    "again": dict,
}
_ENDED = {"command": "", "host": "", "pid": 0, "number": 0, "ended": 0.0, "running": {}, "again": {}}
"""What is taken for a field that a journal lacks."""
_OF_TASK: Types = {"title": str, "since": _NUMBER, "done": int, "total": int, "note": str}


class Journal:
    """A small JSON file, rewritten at most once a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: dict[str, Any] = {}
        self._written = 0.0

    def begin(self, about: Mapping[str, Any], goals: Sequence[str], todo: int) -> None:
        write_over(self.path.with_suffix(".goals"), "\n".join(goals))
        numbers = [journal["number"] for journal in _every_journal(self.path.parent)]
        self.state = {
            **about,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "number": 1 + max(numbers, default=0),
            "begun": time.time(),
            "ended": None,
            "todo": todo,
            "finished": 0,
            "running": {},
            "again": {},
            "failed": {},
            "blocked": {},
        }
        self._write(now=True)

    def started(self, key: str, title: str) -> None:
        now = {"title": title, "since": time.time(), "done": 0, "total": 0, "note": ""}
        self.state["running"][key] = now
        self._write()

    def progress(self, event: Event) -> None:
        running = self.state["running"].get(event.key)
        if running is not None:
            running.update(done=event.done, total=event.total, note=event.note)
            self._write()

    def ended(self, key: str, *, again: str = "") -> None:
        """The task runs no more; `again`: why it is not finished, and will be begun once more."""
        self.state["running"].pop(key, None)
        if again:
            self.state["again"][key] = again
        else:
            self.state["finished"] += 1
        self._write()

    def end(self, failed: Mapping[str, str], blocked: Mapping[str, str]) -> None:
        self.state.update(ended=time.time(), failed=dict(failed), blocked=dict(blocked), running={})
        self._write(now=True)

    def _write(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._written > _WRITE_EVERY:
            self._written = time.monotonic()
            try:
                write_note(self.path, self.state)
            except OSError:
                if now:
                    raise


def journals(folder: Path) -> list[dict[str, Any]]:
    """The journals of the runs that planned something, in the order in which they began."""
    return [journal for journal in _every_journal(folder) if journal.get("plan")]


def planned(folder: Path) -> list[str]:
    """The names of the plans of all runs, those of `bench score` too, in the order in which they began."""
    names = (journal.get("plan") or journal.get("scores") for journal in _every_journal(folder))
    return [name for name in names if name]


def _every_journal(folder: Path) -> list[dict[str, Any]]:
    """By their numbers, since the clock may have been set back between them."""
    read = (read_journal(path) for path in folder.glob("*.json"))
    runs = [journal for journal in read if journal is not None]
    return sorted(runs, key=lambda journal: (journal["number"], journal["begun"]))


def read_journal(path: Path) -> dict[str, Any] | None:
    """The journal of one run; None where it cannot be read."""
    journal = read_note(path, _FIELDS, _MORE_FIELDS)
    if journal is None:
        return None
    whole = {**_ENDED, **journal}
    return whole if all(has_fields(task, _OF_TASK) for task in whole["running"].values()) else None


def newest_journal(folder: Path) -> dict[str, Any] | None:
    """The journal of the last `bench run` that began, or None."""
    return next(reversed(journals(folder)), None)
