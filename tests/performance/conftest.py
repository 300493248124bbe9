"""Anomaly maps of a size that matters, a stopwatch that also sees memory, and PatchCore's table."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import ndimage


class Run(NamedTuple):
    """result; seconds, the least of the repeats; extra: peak resident bytes beyond those before (Linux),
    without mapped files, whose pages are the system's cache."""

    result: Any
    seconds: float
    extra: int | None


def resident() -> int | None:
    try:
        _, whole, of_files, *_ = Path("/proc/self/statm").read_text().split()
        return (int(whole) - int(of_files)) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def give_back() -> None:
    """Returns freed memory to the system, so that a run's own use shows."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def timed(call: Callable[[], Any], repeats: int = 1) -> Run:
    give_back()
    before, peak, stop = resident(), [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.004):
            peak[0] = max(peak[0], resident() or 0)

    watcher = threading.Thread(target=watch)
    if before is not None:
        watcher.start()
    seconds = []
    for _ in range(repeats):
        give_back()  # what the heap keeps of one call is no use of the next
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    stop.set()
    if before is None:
        return Run(result, min(seconds), None)
    watcher.join()
    return Run(result, min(seconds), max(0, peak[0] - before))


@pytest.fixture
def stopwatch() -> Callable[..., Run]:
    return timed


def make_maps(count: int, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Smooth positive maps float32 with heavy tails; masks of 1 to 3 boxes in three of four images."""
    rng = np.random.default_rng(0)
    masks = np.zeros((count, side, side), bool)
    maps = np.empty((count, side, side), np.float32)
    base = [ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 40) * side / 32 for _ in range(16)]
    for i in range(count):
        moved = np.roll(base[i % 16], tuple(rng.integers(0, side, 2)), (0, 1))
        maps[i] = np.exp(0.5 * moved + rng.normal(0, 0.05, (side, side)))
        if i % 4:
            for _ in range(rng.integers(1, 4)):
                y, x = rng.integers(0, side - side // 5, 2)
                h, w = rng.integers(side // 50 + 1, side // 6, 2)
                masks[i, y : y + h, x : x + w] = True
            maps[i] += masks[i] * rng.random() * 1.5
    return maps, masks


@pytest.fixture(scope="session")
def pixel_maps() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return make_maps


class PatchCoreTable:
    """Rows of PatchCore beside its peers."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def add(self, step: str, peer: str, ours: Run, theirs: Run, agreement: str, times: float = 1.0) -> None:
        """`times`: what the peer's time stands for, where it did a part of the work; marked with a star."""
        seconds = theirs.seconds * times
        star = "" if times == 1.0 else "*"
        self.rows.append(
            f"| {step} | {peer} | {ours.seconds:.3g} | {seconds:.3g}{star} | {seconds / ours.seconds:.1f} "
            f"| {_mebibytes(ours)} / {_mebibytes(theirs)} | {agreement} |"
        )


def _mebibytes(run: Run) -> str:
    return "" if run.extra is None else f"{run.extra / 2**20:.0f}"


@pytest.fixture(scope="session")
def patchcore_table() -> Iterator[PatchCoreTable]:
    """Printed at the end, or added to the file that DEFECTBENCH_PATCHCORE_TABLE names."""
    table = PatchCoreTable()
    yield table
    if not table.rows:
        return
    head = "| step | peer | ours, s | peer, s | ratio | memory beyond input, MiB (ours / peer) | agreement |"
    text = "\n".join([head, "|---|---|---|---|---|---|---|", *table.rows])
    print("\n" + text)
    if path := os.environ.get("DEFECTBENCH_PATCHCORE_TABLE"):
        with Path(path).open("a") as file:
            file.write(text + "\n")
