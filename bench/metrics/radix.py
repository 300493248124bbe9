"""The counts of `gather`, compiled: no sort of the negatives, no search, a thread a core.

A float32 score becomes a uint32 key that orders alike. The negatives are partitioned by the upper 16 bits of
their key; a partition that holds a positive keeps the lower 16 bits (2 bytes a pixel), of the others only
the number matters. A partition's lower bits are then counted in 65,536 counters, which stay in the cache,
and read off at every distinct positive score. Work is linear in the pixels and does not depend on the
number of thresholds.

Arrays and memory maps are read three times (positives, partition sizes, lower bits); a stream that can be
read once keeps the lower bits of all partitions.

Needs numba; the counts are those of the plain numpy path (tests/metrics/test_compiled_path.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from bench.metrics import kernels
from bench.metrics.chunks import PIXELS_A_CHUNK, MapChunks
from bench.metrics.tally import Tally, require_both_classes

PARTITIONS = 1 << 16
MOST_THREADS = 8

Result = TypeVar("Result")
Flat = tuple[np.ndarray, np.ndarray]


def tally_compiled(chunks: MapChunks, per_image: bool) -> tuple[Tally, int, np.ndarray]:
    """(tally with region overlap, regions, best IoU of each anomalous image) of float32 maps.

    Raises TypeError where they are float64, which has no 32-bit key: take the numpy path then.
    """
    if chunks.dtype != np.float32:
        raise TypeError(f"the compiled path is for float32 maps, not {chunks.dtype}")
    threads = min(MOST_THREADS, _cores())
    with ThreadPoolExecutor(threads) as pool:
        negatives = _Negatives(pool, threads)
        keys, weights, ious, regions, pixels = [], [], [], 0, 0
        for maps, masks in chunks:
            bits, mask = _bits(maps), masks.view(np.uint8)
            chunk_keys, chunk_weights, chunk_regions, chunk_ious = _positives(pool, bits, mask, per_image)
            keys.append(chunk_keys)
            weights.append(chunk_weights)
            ious += chunk_ious
            regions += chunk_regions
            pixels += masks.size
            if not chunks.rereadable:
                negatives.keep(bits.ravel(), mask.ravel())
        negatives.flush()
        positives = sum(map(len, keys))
        require_both_classes(positives, pixels - positives, "masks")
        ranked, weight = kernels.sort_keys(np.concatenate(keys), np.concatenate(weights))
        ranked, weight = ranked[::-1], weight[::-1]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
        overlap = np.minimum(np.cumsum(weight)[last] / regions, 1.0)
        overlap[-1] = 1.0
        thresholds = ranked[last]
        if chunks.rereadable:
            flat = ((_bits(maps).ravel(), masks.view(np.uint8).ravel()) for maps, masks in chunks)
            again = ((_bits(maps).ravel(), masks.view(np.uint8).ravel()) for maps, masks in chunks)
            negatives.partition(flat, again, thresholds)
        else:
            negatives.merge(thresholds)
        at_least, above = negatives.count(thresholds)
    tally = Tally(_scores(thresholds), last + 1, at_least, above, positives, pixels - positives, overlap)
    return tally, regions, np.array(ious if per_image else [])


def _positives(
    pool: ThreadPoolExecutor, bits: np.ndarray, mask: np.ndarray, per_image: bool
) -> tuple[np.ndarray, np.ndarray, int, list[float]]:
    """(keys, weights, regions, best IoU of each anomalous image) of one chunk."""
    sizes = [int(np.count_nonzero(m)) for m in mask]
    ends = np.cumsum(sizes)
    keys, weights = np.empty(ends[-1], np.uint32), np.empty(ends[-1])

    def of_image(i: int) -> tuple[int, float]:
        own = slice(ends[i] - sizes[i], ends[i])
        regions = kernels.positives_of(bits[i], mask[i], keys[own], weights[own])
        if not per_image:
            return regions, 0.0
        return regions, kernels.best_iou(bits[i].ravel(), mask[i].ravel(), np.sort(keys[own]))

    found = _spread(pool, of_image, [i for i, size in enumerate(sizes) if size])
    return keys, weights, sum(regions for regions, _ in found), [best for _, best in found]


class _Negatives:
    """The lower key bits of the negatives, grouped by partition."""

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self.pool, self.threads = pool, threads
        self.waiting: list[Flat] = []
        self.parts: list[Flat] = []
        self.counts = np.zeros(PARTITIONS, np.int64)
        self.low = np.zeros(0, np.uint16)
        self.starts = np.zeros(PARTITIONS + 1, np.int64)

    def keep(self, bits: np.ndarray, mask: np.ndarray) -> None:
        """One chunk of a stream; chunks are grouped when there are enough, as single images would be slow."""
        self.waiting.append((bits.copy(), mask.copy()))  # a stream may fill the same buffer again
        if sum(part.size for _, part in self.waiting) >= PIXELS_A_CHUNK:
            self.flush()

    def flush(self) -> None:
        """Groups what waits: all its negatives."""
        if not self.waiting:
            return
        waiting, self.waiting = self.waiting, []
        low, starts, counts = self._grouped(waiting, waiting, np.ones(PARTITIONS, bool))
        self.parts.append((low, starts))
        self.counts += counts

    def partition(self, flat: Iterable[Flat], again: Iterable[Flat], thresholds: np.ndarray) -> None:
        """All chunks of something that can be read twice: only partitions that hold a positive."""
        self.low, self.starts, self.counts = self._grouped(flat, again, _held(thresholds))

    def merge(self, thresholds: np.ndarray) -> None:
        """The kept chunks in one, without the partitions that no positive is in."""
        kept = _held(thresholds)
        self.starts = _starts(np.where(kept, self.counts, 0))
        self.low = np.empty(self.starts[-1], np.uint16)
        heads, partitions = self.starts[:-1].copy(), np.flatnonzero(kept)
        while self.parts:  # freed one by one, so that the lower bits are not held twice
            kernels.move_partitions(*self.parts.pop(), partitions, heads, self.low)

    def count(self, thresholds: np.ndarray) -> Flat:
        """(negatives at or above, above) each key of `thresholds` (distinct, descending), int64 [T]."""
        at_least, above = np.empty(thresholds.size, np.int64), np.empty(thresholds.size, np.int64)
        higher = self.counts.sum() - np.cumsum(self.counts)  # negatives of higher partitions
        partition, positive = thresholds >> 16, (thresholds & 0xFFFF).astype(np.uint16)
        firsts = np.append(np.flatnonzero(np.diff(partition, prepend=PARTITIONS)), thresholds.size)

        def of_partition(i: int) -> None:
            p, own = int(partition[firsts[i]]), slice(firsts[i], firsts[i + 1])
            kernels.count_at(
                self.low,
                self.starts[p],
                self.starts[p + 1],
                positive[own],
                higher[p],
                at_least[own],
                above[own],
            )

        _spread(self.pool, of_partition, range(firsts.size - 1))
        return at_least, above

    def _grouped(
        self, flat: Iterable[Flat], again: Iterable[Flat], kept: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        of_thread = np.zeros((self.threads, PARTITIONS), np.int64)
        for bits, mask in flat:
            self._each(kernels.count_partitions, bits, mask, lambda t: (of_thread[t],))
        counts = of_thread.sum(axis=0)
        starts = _starts(np.where(kept, counts, 0))
        # a thread writes behind the threads before it; what is not kept goes to a place of its own at the end
        heads = starts[:-1] + np.cumsum(of_thread, axis=0) - of_thread
        heads[:, ~kept] = starts[-1] + 64 * np.arange(self.threads)[:, None]
        low, step = np.empty(starts[-1] + 64 * self.threads, np.uint16), kept.astype(np.int64)
        for bits, mask in again:
            self._each(kernels.scatter, bits, mask, lambda t: (heads[t], step, low))
        return low, starts, counts

    def _each(
        self, kernel: Callable[..., Any], bits: np.ndarray, mask: np.ndarray, state: Callable[[int], tuple]
    ) -> None:
        cuts = np.linspace(0, bits.size, self.threads + 1).astype(int)
        runs = [
            self.pool.submit(kernel, bits[cuts[t] : cuts[t + 1]], mask[cuts[t] : cuts[t + 1]], *state(t))
            for t in range(self.threads)
        ]
        for run in runs:
            run.result()


def _spread(pool: ThreadPoolExecutor, call: Callable[[int], Result], items: Sequence[int]) -> list[Result]:
    """`call` of every item, in order; a few dozen runs of many items each, as a run costs 50 microseconds."""
    step = max(1, len(items) // 32)
    runs = pool.map(lambda start: [call(i) for i in items[start : start + step]], range(0, len(items), step))
    return [result for run in runs for result in run]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bits(maps: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(maps).view(np.uint32)


def _held(thresholds: np.ndarray) -> np.ndarray:
    held = np.zeros(PARTITIONS, bool)
    held[thresholds >> 16] = True
    return held


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])


def _scores(keys: np.ndarray) -> np.ndarray:
    return np.where(keys >> 31, keys & np.uint32(0x7FFFFFFF), ~keys).astype(np.uint32).view(np.float32)
