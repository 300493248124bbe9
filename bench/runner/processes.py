"""A task's process and everything that it starts: named when it begins, ended together."""

import os
import signal
from contextlib import suppress
from pathlib import Path

_MARK = "DEFECTBENCH_TASK"
"""Variable of a task's process, which what it starts inherits, also in a session of its own."""


def lead(name: str) -> None:
    """Make this process the first of a session and group of its own, under a name."""
    os.setsid()
    os.environ[_MARK] = name


def end(name: str, leader: int | None = None) -> None:
    """Kill what is left of a task: the group of its `leader`, and (on Linux) whatever bears its name, and its
    session."""
    if leader is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        with suppress(ProcessLookupError):  # it may have been killed before it led a group
            os.kill(leader, signal.SIGKILL)
    mark = f"{_MARK}={name}".encode()
    sessions: dict[int, int] = {}
    marked: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            sessions[int(process.name)] = os.getsid(int(process.name))
            if mark in (process / "environ").read_bytes().split(b"\0"):
                marked.add(sessions[int(process.name)])
    for pid, session in sessions.items():
        if session in marked:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
