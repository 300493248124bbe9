"""Read files that are not trusted: no pipe, device or huge file is ever waited for."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from bench.errors import BenchError

MAX_BYTES = 1 << 31
"""Larger files are refused unread; coordinates of so many pixels, float32 and not compressed, have 1.8 GB."""

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def kind_of(mode: int) -> str:
    """What the mode of a status says that is not a regular file: "a pipe"."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def open_at_once(path: Path) -> tuple[BinaryIO, os.stat_result]:
    """Whatever lies there, open for reading, and its status; OSError where that cannot be."""
    # to open a pipe without the flag would wait for who writes to it
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    return file, os.fstat(file.fileno())


def open_file(path: Path) -> BinaryIO:
    """A regular file, open for reading. Raises BenchError for what would never end, and OSError."""
    file, status = open_at_once(path)
    if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES:
        return file
    file.close()
    if not stat.S_ISREG(status.st_mode):
        raise BenchError(f"cannot read {path}: it is {kind_of(status.st_mode)}, not a regular file")
    raise BenchError(f"cannot read {path}: it has {status.st_size / 1e9:.1f} GB, 2.1 are allowed")


def file_bytes(path: Path) -> bytes:
    """What is in a file. Raises BenchError, also for pipes, devices and huge files."""
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from None


def file_text(path: Path) -> str:
    """UTF-8 text without the mark of byte order that some editors write first. Raises as `open_file`, and
    UnicodeDecodeError."""
    with open_file(path) as file:
        return file.read().decode("utf-8-sig")
