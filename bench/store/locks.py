"""Locks between the drivers of one store."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file, alone or with others that share it; where a file system has none, nothing.

    What cannot be written can be shared without a lock: nobody who may change it can be asked to wait.
    """
    try:
        file = path.open("a")
    except OSError:
        if not shared:
            raise
        file = None
    with file or nullcontext():
        if file is not None:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
