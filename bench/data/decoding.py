"""Decode pictures on all processors, with memory bounded by pixels and not by processors times pictures."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from bench.data.picture import pixels_of
from bench.parallel import in_order

In = TypeVar("In")
Out = TypeVar("Out")

PIXELS_IN_FLIGHT = 32_000_000
"""Decoded at once, some 0.3 GB; a larger picture is decoded alone."""


def decode_in_order(
    work: Callable[[In], Out],
    items: Iterable[In],
    files: Callable[[In], Iterable[Path | None]],
    workers: int | None = None,
) -> Iterator[Out]:
    """`in_order` for work that decodes `files(item)`, one after the other."""

    def weigh(item: In) -> int:
        return max((pixels_of(path) for path in files(item) if path is not None), default=0)

    return in_order(work, items, workers, weigh=weigh, most=PIXELS_IN_FLIGHT)
