"""Reads maps and masks chunk by chunk, from arrays, memory maps or a stream, and checks each chunk once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bench.metrics.inputs import MetricInputError, real_array, to_numpy, truth_array

PIXELS_A_CHUNK = 1 << 22

Chunk = tuple[np.ndarray, np.ndarray]


class MapChunks:
    """Iterates over checked (maps float [n, H, W], masks bool [n, H, W]).

    maps and masks: two arrays, memory maps or tensors [N, H, W]; or two iterables of chunks [n, H, W] or
    [H, W] (images may differ in size between chunks, not in type); or one iterable of (maps, masks) pairs
    with masks None. chunk: images read at a time from an array (default: about 4 million pixels).
    `rereadable` is false for iterators, which can be read once; `dtype` is that of the scores, float32 or 64;
    `pixels` of all chunks is 0 where it is not known before the last.
    """

    def __init__(self, maps: Any, masks: Any = None, chunk: int | None = None) -> None:
        if chunk is not None and chunk < 1:
            raise MetricInputError(f"chunk must be at least 1 image, not {chunk}")
        self._chunk, self._finite = chunk, False
        if hasattr(maps, "shape"):
            if masks is None or isinstance(masks, Iterator):
                masks_are = "are missing" if masks is None else "are an iterator"
                raise MetricInputError(f"maps are an array, so masks must be one too, but they {masks_are}")
            masks = masks if hasattr(masks, "shape") else to_numpy(masks, "masks")
            _require_stacks(maps, masks)
            self.rereadable, self.pixels = True, math.prod(maps.shape)
        elif isinstance(maps, Iterable):
            self.rereadable = isinstance(maps, Sequence) and (masks is None or isinstance(masks, Sequence))
            self.pixels = 0
        else:
            raise MetricInputError("maps must be an array [N, H, W] or an iterable of chunks")
        self._maps, self._masks = maps, masks
        first = next(self._pairs(), None)
        if first is None:
            raise MetricInputError("the stream of maps is empty: there is nothing to score")
        stack = _stack(first[0])
        if len(stack.shape) != 3:
            shape = tuple(stack.shape)
            raise MetricInputError(f"maps must come as [H, W] or [n, H, W], but the first has shape {shape}")
        self.dtype = real_array(stack[:1], "maps", ndim=3, finite=False).dtype
        if not self.rereadable:
            self._maps, self._masks = itertools.chain([first], self._unread), None

    def __iter__(self) -> Iterator[Chunk]:
        # values that were found finite in the first read need no second look
        yield from self.read(finite=not self._finite)
        self._finite = True

    def read(self, *, finite: bool = False) -> Iterator[Chunk]:
        """The chunks; unless `finite` is true the reader looks for NaN and infinities itself."""
        start = 0
        for maps, masks in self._pairs():
            where = f"from image {start} on"
            scores = real_array(_stack(maps), f"maps {where}", ndim=3, finite=finite)
            truth = truth_array(_stack(masks), f"masks {where}", ndim=3)
            if scores.shape != truth.shape:
                raise MetricInputError(f"maps {scores.shape} and masks {truth.shape} {where} differ in shape")
            if scores.dtype != self.dtype:
                raise MetricInputError(
                    f"maps {where} are {scores.dtype}, those before {self.dtype}; give one type"
                )
            start += len(scores)
            yield scores, truth

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        if hasattr(self._maps, "shape"):
            count, height, width = self._maps.shape
            step = self._chunk or max(1, PIXELS_A_CHUNK // (height * width))
            return ((self._maps[i : i + step], self._masks[i : i + step]) for i in range(0, count, step))
        pairs = _as_pairs(self._maps) if self._masks is None else _zipped(self._maps, self._masks)
        self._unread = pairs
        return pairs


def _require_stacks(maps: Any, masks: Any) -> None:
    if len(maps.shape) != 3:
        raise MetricInputError(f"maps must be [N, H, W], but have shape {tuple(maps.shape)}")
    if tuple(maps.shape) != tuple(masks.shape):
        raise MetricInputError(
            f"maps {tuple(maps.shape)} and masks {tuple(masks.shape)} must have the same shape"
        )
    if 0 in maps.shape:
        raise MetricInputError(f"maps are empty (shape {tuple(maps.shape)})")


def _as_pairs(stream: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for item in stream:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise MetricInputError("with masks None, maps must be an iterable of (maps, masks) pairs")
        yield item[0], item[1]


def _zipped(maps: Iterable[Any], masks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    missing = object()
    for amap, mask in itertools.zip_longest(maps, masks, fillvalue=missing):
        if amap is missing or mask is missing:
            raise MetricInputError("the streams of maps and masks differ in their number of chunks")
        yield amap, mask


def _stack(values: Any) -> Any:
    """One image [H, W] as a chunk of one; leaves everything else as it is."""
    array = values if hasattr(values, "shape") else to_numpy(values, "maps or masks")
    return array[None] if len(array.shape) == 2 else array
