"""`python -m bench exec`: a warm interpreter that forks a fresh process for each job.

Importing torch takes longer than many a task. This process imports it once and does nothing else with it (no
operation, no thread, no GPU), so that each fork is as clean as a new interpreter and starts in milliseconds.
Jobs come as JSON lines on standard input; progress and ends go out as JSON lines. When standard input closes
(the driver ended, or was killed) every child is killed.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

from bench import registry
from bench.errors import BenchError
from bench.run.jobs import TIMED_OUT, Job
from bench.stages import STAGES

_PR_SET_PDEATHSIG = 1


def serve() -> None:
    """Take jobs until standard input closes."""
    _die_with(os.getppid())
    channel = os.dup(1)
    os.dup2(2, 1)  # a stray print must not be taken for a message
    warm: set[str] = set()
    running: dict[int, tuple[str, float | None]] = {}
    late: set[int] = set()
    pending = b""
    open_input = True
    while open_input:
        ready, _, _ = select.select([0], [], [], 0.02 if running else 0.5)
        if ready:
            chunk = os.read(0, 1 << 20)
            open_input = bool(chunk)
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                job = Job(**json.loads(line))
                _warm(job, warm)
                stop = None if job.time_limit is None else time.monotonic() + job.time_limit
                running[_fork(job, channel)] = (job.key, stop)
        _reap(running, late, channel)
        for pid, (_, stop) in running.items():
            if stop is not None and pid not in late and time.monotonic() > stop:
                late.add(pid)
                os.kill(pid, signal.SIGKILL)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _warm(job: Job, warm: set[str]) -> None:
    """Import what jobs of this kind need, unless that was done; a child finds it in its memory."""
    stage = job.definition["stage"]
    name = job.definition["adapter"].partition("@")[0]
    wanted = ["numpy", "torch", "PIL.Image", "bench.run.execute", *STAGES[stage].imports]
    wanted.append(STAGES[stage].target.partition(":")[0])
    with suppress(BenchError):  # plug-ins and ingested methods are the child's business
        wanted += registry.load(stage.partition(".")[0], name).imports if name else ()
    for module in wanted:
        if module not in warm:
            warm.add(module)
            with suppress(Exception):  # a child that needs it fails with the reason in its log
                import_module(module)


def _fork(job: Job, channel: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        _die_with(parent)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from bench.run.execute import execute

        status = execute(job, lambda *told: _say(channel, {"kind": "progress", "key": job.key, "told": told}))
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


def _die_with(parent: int) -> None:
    """Be killed when the parent ends, so that nobody works for a driver that is gone (Linux only)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(71)


def _reap(running: dict[int, tuple[str, float | None]], late: set[int], channel: int) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        key, _ = running.pop(pid)
        ended = os.waitstatus_to_exitcode(status)
        if pid in late:
            late.discard(pid)
            ended = TIMED_OUT if ended == -signal.SIGKILL else ended
        _say(channel, {"kind": "ended", "key": key, "exit": ended})


def _say(channel: int, message: dict[str, Any]) -> None:
    """One write a message: shorter than PIPE_BUF, it is never cut by another process's."""
    try:
        os.write(channel, (json.dumps(message) + "\n").encode())
    except BrokenPipeError:
        os._exit(71)  # the driver is gone; that is no failure of the task
