"""Tasks that wanted more memory than there was: how that is seen, and what can be done about it."""

import errno
import signal
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError
from bench.methods import registry
from bench.runner.jobs import OUT_OF_MEMORY, Event
from bench.tasks import Task

_OF_LIBRARIES = ("out of memory", "can't allocate memory", "std::bad_alloc")
"""CUDA, torch on a CPU, and C++ say it in a RuntimeError."""
_OF_THE_LOADER = ("cannot allocate memory", "failed to map segment", "cannot map zero-fill pages")
"""What an import says that found no memory for a library."""


def is_want_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed."""
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in _OF_LIBRARIES)
    if isinstance(error, ImportError | OSError):
        is_errno = isinstance(error, OSError) and error.errno == errno.ENOMEM
        return is_errno or any(words in str(error).lower() for words in _OF_THE_LOADER)
    return isinstance(error, MemoryError)


def kills_for_memory() -> int:
    """How many processes this system has killed so far because there was no memory left; 0 where unknown."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, count = line.split()
            if name == "oom_kill":
                return int(count)
    return 0


def wanted_memory(event: Event) -> bool:
    """Whether a task most likely ended so because memory was short: nobody else sends SIGKILL unasked."""
    return event.exit in (-signal.SIGKILL, OUT_OF_MEMORY)


def can_do_with_less(task: Task) -> bool:
    """Whether the method of a task says that it comes to the same bytes in less memory."""
    family, _, step = task.stage.partition(".")
    with suppress(BenchError):  # what was ingested has no method
        return bool(task.adapter) and step in registry.load(family, task.adapter.partition("@")[0]).frugal
    return False


def how_it_was_killed(event: Event) -> str:
    """Half a sentence: by what, why, and how much memory it had."""
    had = f" (it had {event.peak / 1e9:.2f} GB)" if event.peak else ""
    if event.starved:
        return f"its process was killed by the system for want of memory{had}"
    if event.exit == OUT_OF_MEMORY:
        return f"it found no more memory{had}"
    name = signal.Signals(-event.exit).name
    wants = {
        "SIGKILL": ", most likely for want of memory",
        "SIGBUS": ", most likely for want of disk space",
    }
    return f"its process was killed by {name}{wants.get(name, '')}{had}"
