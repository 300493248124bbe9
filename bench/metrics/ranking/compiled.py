"""How the loops of this folder are compiled: by numba, which keeps them on disk where there is a place."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` without the interpreter lock.

    An installation and a home that cannot be written leave numba no folder for its cache, which it takes for
    an error; the loops are then compiled anew in each process.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return njit(nogil=True, **options)(function)

    return decorate
