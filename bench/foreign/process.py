"""Run a command that is not ours: in a session of its own, within limits, with its output in our log."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError
from bench.foreign.spec import Limits

_LOOK_EVERY = 0.2
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "CONDA_PREFIX")
"""Variables that would lead another interpreter to our packages."""


def run(
    command: Sequence[str],
    *,
    name: str,
    cwd: Path,
    env: Mapping[str, str],
    limits: Limits,
    folders: Sequence[Path],
    seconds_left: float | None = None,
) -> None:
    """Run it to its end; what it prints goes to our standard output and error.

    `folders` are those it may fill; `seconds_left` is the task's own limit. Raises BenchError where it cannot
    be started, fails, or goes beyond a limit; nothing that it started is left then.
    """
    sys.stdout.write(f"$ {' '.join(command)}\n")
    sys.stdout.flush()
    variables = {key: value for key, value in os.environ.items() if key not in _OURS}
    try:
        process = subprocess.Popen(
            command, cwd=cwd, env={**variables, **env}, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise BenchError(
            f"'{name}': {command[0]} cannot be started ({error.strerror}); mend the command in its file"
        ) from None
    try:
        _watch(process, name, limits, folders, seconds_left)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what it started and left behind
        process.wait()
    if process.returncode:
        how = f"ended with status {process.returncode}"
        if process.returncode < 0:
            how = f"was killed by {signal.Signals(-process.returncode).name}"
        raise BenchError(f"'{name}': the command {how}; its log says why")


def _watch(
    process: "subprocess.Popen[bytes]",
    name: str,
    limits: Limits,
    folders: Sequence[Path],
    seconds_left: float | None,
) -> None:
    seconds = min(limits.minutes * 60, seconds_left or float("inf"))
    until, look = time.monotonic() + seconds, 0.0
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY)
            return
        if time.monotonic() > until:
            raise BenchError(f"'{name}': the command was stopped at its limit of {seconds / 60:g} minutes")
        memory = _resident(process.pid)
        if memory > limits.memory_gb * 1e9:
            raise BenchError(
                f"'{name}': the command was stopped at its limit of {limits.memory_gb:g} GB memory"
            )
        if time.monotonic() > look:  # a walk through the folders costs more than a look at memory
            begun = time.monotonic()
            if sum(_size(folder) for folder in folders) > limits.disk_gb * 1e9:
                raise BenchError(
                    f"'{name}': the command was stopped at its limit of {limits.disk_gb:g} GB disk"
                )
            look = time.monotonic() + max(1.0, 20 * (time.monotonic() - begun))


def _resident(session: int) -> int:
    """Bytes of memory of all processes of a session (Linux; 0 elsewhere)."""
    pages = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                pages += int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _size(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                total += (Path(root) / file).lstat().st_size
    return total


def found(required: str) -> bool:
    """Whether a program is on the path, or a path is there."""
    return shutil.which(required) is not None or Path(required).exists()
