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
    work: Callable[[In], Out],
    items: Iterable[In],
    workers: int | None = None,
    *,
    ahead: int = 4,
    weigh: Callable[[In], int] | None = None,
    most: int = 0,
) -> Iterator[Out]:
    """`map(work, items)` on `workers` threads (default: the number of processors), results in order.

    At most `ahead` results per worker are held, so that memory does not grow with the number of items. With
    `weigh`, what is worked on and what waits to be taken weigh at most `most` together, or are one item. The
    first exception is raised where its result would stand.
    """
    workers = workers or processors()
    pending: deque[tuple[Future[Out], int]] = deque()
    load = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                weight = weigh(item) if weigh is not None else 0
                while pending and (len(pending) >= ahead * workers or load + weight > most > 0):
                    future, lifted = pending.popleft()
                    yield future.result()
                    del future
                    load -= lifted
                pending.append((pool.submit(work, item), weight))
                load += weight
            while pending:
                yield pending.popleft()[0].result()
        finally:
            for future, _ in pending:
                future.cancel()
