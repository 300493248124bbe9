"""Decode in threads, receive in order: Pillow and hashlib release the interpreter lock."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[In], Out], items: Iterable[In], workers: int | None = None, *, ahead: int = 4
) -> Iterator[Out]:
    """`map(work, items)` on `workers` threads (default: the number of processors), results in order.

    At most `ahead` results a worker are held, so that memory does not grow with the number of items. The
    first exception is raised where its result would stand.
    """
    workers = workers or processors()
    pending: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= ahead * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
