"""Reads maps and masks chunk by chunk, from arrays, memory maps or a stream, and checks each chunk once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bench.metrics.inputs import MetricInputError, real_array, truth_array

PIXELS_A_CHUNK = 1 << 22

Chunk = tuple[np.ndarray, np.ndarray]


class MapChunks:
    """Iterates over checked (maps float [n, H, W], masks bool [n, H, W]).

    maps and masks: two arrays, memory maps or tensors [N, H, W]; or two iterables of chunks [n, H, W] or
    [H, W] (images may differ in size between chunks); or one iterable of (maps, masks) pairs with masks
    None. `chunk` is the number of images read at a time from an array (default: about 4 million pixels).
    `rereadable` is false for iterators, which can be read once.
    """

    def __init__(self, maps: Any, masks: Any = None, chunk: int | None = None) -> None:
        if chunk is not None and chunk < 1:
            raise MetricInputError(f"chunk must be at least 1 image, not {chunk}")
        self.arrays = hasattr(maps, "shape")
        if self.arrays:
            if not hasattr(masks, "shape"):
                masks = np.asarray(masks)
            if len(maps.shape) != 3:
                raise MetricInputError(f"maps must be [N, H, W], but have shape {tuple(maps.shape)}")
            if tuple(maps.shape) != tuple(masks.shape):
                raise MetricInputError(
                    f"maps {tuple(maps.shape)} and masks {tuple(masks.shape)} must have the same shape"
                )
            if 0 in maps.shape:
                raise MetricInputError(f"maps are empty (shape {tuple(maps.shape)})")
        elif not isinstance(maps, Iterable):
            raise MetricInputError("maps must be an array [N, H, W] or an iterable of chunks")
        self.maps, self.masks, self.chunk = maps, masks, chunk
        self._checked = False
        self.rereadable = self.arrays or (
            isinstance(maps, Sequence)
            and (masks is None or hasattr(masks, "shape") or isinstance(masks, Sequence))
        )

    def __iter__(self) -> Iterator[Chunk]:
        seen = False
        start = 0
        for maps, masks in self._pairs():
            amap, mask = _stack(maps), _stack(masks)
            # values that were found finite in the first read need no second look
            checked = real_array(amap, f"maps from image {start} on", ndim=3, finite=not self._checked)
            truth = truth_array(mask, f"masks from image {start} on", ndim=3)
            if checked.shape != truth.shape:
                raise MetricInputError(
                    f"maps {checked.shape} and masks {truth.shape} from image {start} on differ in shape"
                )
            start += len(checked)
            seen = True
            yield checked, truth
        self._checked = True
        if not seen:
            raise MetricInputError("the stream of maps is empty: there is nothing to score")

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        if self.arrays:
            count, height, width = self.maps.shape
            step = self.chunk or max(1, PIXELS_A_CHUNK // (height * width))
            for start in range(0, count, step):
                yield self.maps[start : start + step], self.masks[start : start + step]
        elif self.masks is None:
            for item in self.maps:
                if not isinstance(item, tuple | list) or len(item) != 2:
                    raise MetricInputError("with masks None, maps must be an iterable of (maps, masks) pairs")
                yield item[0], item[1]
        else:
            try:
                yield from zip(self.maps, self.masks, strict=True)
            except ValueError as error:
                if "zip()" not in str(error):
                    raise
                raise MetricInputError(
                    "the streams of maps and masks differ in their number of chunks"
                ) from error


def _stack(values: Any) -> Any:
    """One image [H, W] as a chunk of one; leaves everything else as it is."""
    if hasattr(values, "shape") and len(values.shape) == 2:
        return values[None]
    return values
