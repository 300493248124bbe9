"""`python -m bench exec`: a warm interpreter that forks a fresh process for each job.

Importing torch takes longer than many a task. This process imports it once and does nothing else with it (no
operation, no thread, no GPU), so that each fork is as clean as a new interpreter and starts in milliseconds.
Jobs come as JSON lines on standard input; progress and ends go out as JSON lines. When standard input closes
(the driver ended, or was killed), or at SIGTERM, every child is killed with all that it started.
"""

import ctypes
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import Any

from bench.errors import BenchError
from bench.methods import registry
from bench.runner.jobs import OUT_OF_MEMORY, TIMED_OUT, Job
from bench.runner.line_reader import Lines
from bench.runner.out_of_memory import is_want_of_memory, kills_for_memory
from bench.runner.processes import end, lead
from bench.stages import stage_class

_PR_SET_PDEATHSIG = 1


@dataclass
class _Child:
    """A fork at work."""

    job: Job
    stop: float | None
    """When its time is over."""
    late: bool = False
    kills: int = field(default_factory=kills_for_memory)
    """Processes that the system had killed for want of memory when this one began."""


def serve() -> None:
    """Take jobs until standard input closes."""
    running: dict[int, _Child] = {}

    def terminated(number: int, frame: FrameType | None) -> None:
        _end_all(running)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminated)
    _die_with(os.getppid(), signal.SIGTERM)
    channel = os.dup(1)
    os.dup2(2, 1)  # a stray print must not be taken for a message
    try:
        _take_jobs(running, channel)
    except MemoryError:
        _end_all(running)
        os._exit(OUT_OF_MEMORY)  # the driver begins the tasks again alone, or says what they lacked
    _end_all(running)


def _take_jobs(running: dict[int, _Child], channel: int) -> None:
    warm: set[str] = set()
    jobs = Lines(0)
    while jobs.open:
        for line in jobs.read(0.02 if running else 0.5):
            job = Job(**json.loads(line))
            _warm(job, warm)
            stop = None if job.time_limit is None else time.monotonic() + job.time_limit
            running[_fork(job, channel)] = _Child(job, stop)
        _reap(running, channel)
        for pid, child in running.items():
            if child.stop is not None and not child.late and time.monotonic() > child.stop:
                child.late = True
                end(child.job.name, pid)


def _end_all(running: dict[int, _Child]) -> None:
    for pid, child in tuple(running.items()):
        end(child.job.name, pid)


def _warm(job: Job, warm: set[str]) -> None:
    """Import what jobs of this kind need, unless that was done; a child finds it in its memory."""
    stage = job.definition["stage"]
    name = job.definition["adapter"].partition("@")[0]
    modules = ["numpy", "torch", "PIL.Image", "bench.runner.execute"]
    with suppress(Exception):  # a stage of another version; the child says so
        modules += stage_class(stage).imports
    with suppress(BenchError):  # plug-ins and ingested methods are the child's business
        modules += registry.load(stage.partition(".")[0], name).imports if name else ()
    for module in modules:
        if module not in warm:
            warm.add(module)
            try:
                import_module(module)
            except Exception as error:  # a child that needs it fails with the reason in its log
                if is_want_of_memory(error):  # half a torch cannot be imported again in this process
                    raise MemoryError from error


def _fork(job: Job, channel: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _die_with(parent, signal.SIGKILL)
        lead(job.name)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from bench.runner.execute import execute

        def progress(*state: Any) -> None:
            _say(channel, {"kind": "progress", "key": job.key, "state": state})

        status = execute(job, progress)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


def _die_with(parent: int, number: int) -> None:
    """Get a signal when the parent ends, so that nobody works for a driver that is gone (Linux only)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(71)


def _reap(running: dict[int, _Child], channel: int) -> None:
    while running:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        child = running.pop(pid)
        ended = os.waitstatus_to_exitcode(status)
        if ended:
            end(child.job.name, pid)  # what it started may go on without it
        if child.late and ended == -signal.SIGKILL:
            ended = TIMED_OUT
        starved = ended == -signal.SIGKILL and kills_for_memory() > child.kills
        message = {"kind": "ended", "key": child.job.key, "exit": ended}
        _say(channel, {**message, "peak": usage.ru_maxrss * 1024, "starved": starved})


def _say(channel: int, message: dict[str, Any]) -> None:
    """One write a message: shorter than PIPE_BUF, it is never cut by another process's."""
    try:
        os.write(channel, (json.dumps(message) + "\n").encode())
    except BrokenPipeError:
        os._exit(71)  # the driver is gone; the task did not fail
