"""Sums and matrix products that do not depend on how many threads a machine has.

A BLAS cuts a product into one part per thread and sums at the edges of the parts in another order, so the
last bits of its results change with the number of threads. Workers run with one, a library user with all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import Lock
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _OneThread:
    """Numpy's BLAS and LAPACK on one thread, from the first of the calls that overlap to the last one's end.

    The setting is one for the whole process, so a call that ends must not take it from one that still runs.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.calls = 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if self.calls == 0:
                self.limit = _numpys_blas().limit(limits=1, user_api="blas")
            self.calls += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.calls -= 1
            if self.calls == 0:
                self.limit.restore_original_limits()


_ONE_THREAD = _OneThread()


def on_one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with numpy's BLAS and LAPACK on one thread while it runs."""

    @functools.wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _ONE_THREAD:
            return function(*args, **kwargs)

    return limited


@functools.cache
def _numpys_blas() -> Any:
    """The libraries of this process; looking for them takes a millisecond, and numpy's is loaded by now."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
