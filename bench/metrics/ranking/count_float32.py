"""The counts of `tally_of` for float32 scores: no sort of the negatives by their scores, one thread per core.

A float32 score becomes a uint32 key that orders alike. The negatives are partitioned by the upper 16 bits of
their key, and the lower 16 bits are kept (2 bytes a pixel): all in one read, of arrays, memory maps and
streams alike. A partition's lower bits are then counted in 65,536 counters, which stay in the cache, and
read off at every distinct positive score (numpy: radix-sorted and searched). Work is linear in the pixels.

The loops are `kernels_numba`, compiled, or `kernels_numpy`, numpy alone; both give the same integers as the
sort of `tally_float64` (tests/metrics/test_compiled_path.py).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import numpy as np

from bench.metrics.ranking.map_chunks import PIXELS_A_CHUNK, Chunk, MapChunks
from bench.metrics.ranking.tally import Tally, require_both_classes
from bench.parallel import processors

PARTITIONS = 1 << 16
MOST_THREADS = 8

Result = TypeVar("Result")


def tally_float32(chunks: MapChunks, per_image: bool, kernels: ModuleType) -> tuple[Tally, int, np.ndarray]:
    """(tally with region overlap, regions, best IoU of each anomalous image) of float32 maps.

    kernels: `kernels_numba` or `kernels_numpy`. Raises TypeError where maps are float64, which has no 32-bit
    key.
    """
    if chunks.dtype != np.float32:
        raise TypeError(f"the radix path is for float32 maps, not {chunks.dtype}")
    with _Pool(min(MOST_THREADS, processors())) as pool:
        negatives = kernels.Negatives(pool.threads, chunks.pixels)
        keys, sizes, ious, regions, pixels = [], [], [], 0, 0
        source = chunks.read(finite=not chunks.rereadable)
        for maps, masks in source if chunks.pixels else _together(source):
            bits, mask = _bits(maps), masks.view(np.uint8)
            negatives.make_room(bits.size)
            cuts = np.linspace(0, bits.size, pool.threads + 1).astype(int)
            parts = [slice(*ends) for ends in itertools.pairwise(cuts)]
            # this goes on while the positives are looked at
            adding = [
                pool.submit(negatives.add, thread, bits.ravel()[part], mask.ravel()[part])
                for thread, part in enumerate(parts)
            ]
            chunk_keys, chunk_sizes, chunk_regions, chunk_ious = _positives(
                pool, bits, mask, per_image, kernels
            )
            keys.append(chunk_keys)
            sizes.append(chunk_sizes)
            ious += chunk_ious
            regions += chunk_regions
            pixels += masks.size
            for run in adding:
                run.result()
        positives = sum(map(len, keys))
        require_both_classes(positives, pixels - positives, "masks")
        counts = negatives.finish()
        if not _all_finite(counts, keys):
            _refuse(chunks)
        # two calls, so that what is sorted is freed before what is made of it
        ranked = kernels.sort_keys(_joined(keys), _joined(sizes))
        thresholds, tp, overlap = kernels.distinct(*ranked)
        del ranked
        at_least, above = _counted(pool, negatives, counts, thresholds)
    del negatives  # and with it the lower bits; what needs memory comes after them
    fp, fp_above = at_least.astype(np.int64), above.astype(np.int64)
    overlap /= regions
    np.minimum(overlap, 1.0, out=overlap)
    overlap[-1] = 1.0  # every region is covered at the lowest positive score; the sum is 1 up to rounding
    tally = Tally(_scores(thresholds), tp, fp, fp_above, positives, pixels - positives, overlap)
    return tally, regions, np.array(ious if per_image else [])


class _Pool(ThreadPoolExecutor):
    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.threads = threads

    def spread(self, call: Callable[[int], Result], items: Sequence[int]) -> list[Result]:
        """`call` of every item, in order; a few dozen runs of many, as a run costs 50 microseconds."""
        step = max(1, len(items) // 32)
        runs = self.map(
            lambda start: [call(i) for i in items[start : start + step]], range(0, len(items), step)
        )
        return [result for run in runs for result in run]


def _together(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Small chunks of one image size as one, so that threads need not wait for each other at every image.

    A chunk may lie in the memory of the one before it.
    """
    maps, masks, filled = np.empty((0, 0, 0), np.float32), np.empty((0, 0, 0), bool), 0
    for own_maps, own_masks in chunks:
        count, *size = own_maps.shape
        other_size = size != list(maps.shape[1:])
        most = PIXELS_A_CHUNK // math.prod(size)
        if filled and (other_size or filled + count > most):
            yield maps[:filled], masks[:filled]
            filled = 0
        if 2 * count > most:
            yield own_maps, own_masks
            continue
        if other_size:
            maps, masks = np.empty((most, *size), np.float32), np.empty((most, *size), bool)
        maps[filled : filled + count], masks[filled : filled + count] = own_maps, own_masks
        filled += count
    if filled:
        yield maps[:filled], masks[:filled]


def _all_finite(counts: np.ndarray, keys: list[np.ndarray]) -> bool:
    """Keys of -inf and negative NaN lie up to 0x007FFFFF, those of inf and NaN from 0xFF800000 on."""
    if counts[:0x0080].any() or counts[0xFF80:].any():
        return False
    return all(
        chunk_keys.min() >= 0x00800000 and chunk_keys.max() < 0xFF800000
        for chunk_keys in keys
        if chunk_keys.size
    )


def _refuse(chunks: MapChunks) -> NoReturn:
    """Raises the sentence of the checked read, which says where the bad value is."""
    for _ in chunks.read(finite=True):
        pass
    raise AssertionError("a value was not finite, and then it was")


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """All parts in one array; the list is emptied, so that they are not held twice for long."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _positives(
    pool: _Pool, bits: np.ndarray, mask: np.ndarray, per_image: bool, kernels: ModuleType
) -> tuple[np.ndarray, np.ndarray, int, list[float]]:
    """(keys, sizes of their regions, regions, best IoU of each anomalous image) of one chunk."""
    counts = [int(np.count_nonzero(m)) for m in mask.view(bool)]
    ends = np.cumsum(counts)
    keys, sizes = np.empty(ends[-1], np.uint32), np.empty(ends[-1], np.uint32)

    def of_image(i: int) -> tuple[int, float]:
        span = slice(ends[i] - counts[i], ends[i])
        regions = kernels.positives_of(bits[i], mask[i], keys[span], sizes[span])
        if not per_image:
            return regions, 0.0
        return regions, kernels.best_iou(bits[i].ravel(), mask[i].ravel(), keys[span])

    of_images = pool.spread(of_image, [i for i, count in enumerate(counts) if count])
    return keys, sizes, sum(regions for regions, _ in of_images), [best for _, best in of_images]


def _counted(
    pool: _Pool, negatives: Any, counts: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(negatives at or above, above) each key of `thresholds` (distinct, descending), integers [T]."""
    total = int(counts.sum())
    kind = np.uint32 if total < 1 << 32 else np.int64  # half the memory while the lower bits are held
    at_least, above = np.empty(thresholds.size, kind), np.empty(thresholds.size, kind)
    higher = total - np.cumsum(counts)  # negatives of higher partitions
    turns = np.flatnonzero((thresholds[1:] ^ thresholds[:-1]) >= PARTITIONS) + 1
    firsts = np.concatenate([[0], turns, [thresholds.size]])
    step = max(1, (firsts.size - 1) // 32)

    def of_some(i: int) -> None:
        negatives.count_at(thresholds, firsts[i : i + step + 1], higher, at_least, above)

    pool.spread(of_some, range(0, firsts.size - 1, step))
    return at_least, above


def _bits(maps: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(maps).view(np.uint32)


def _scores(keys: np.ndarray) -> np.ndarray:
    turned = keys >> np.uint32(31)  # in place from here on: 1 where only the sign was turned
    turned -= np.uint32(1)
    turned |= np.uint32(0x80000000)
    turned ^= keys
    return turned.view(np.float32)
