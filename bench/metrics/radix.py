"""The counts of `gather` for float32 scores: no sort of the negatives by their scores, a thread a core.

A float32 score becomes a uint32 key that orders alike. The negatives are partitioned by the upper 16 bits of
their key; a partition that holds a positive keeps the lower 16 bits (2 bytes a pixel), of the others only
the number matters. A partition's lower bits are then counted in 65,536 counters, which stay in the cache,
and read off at every distinct positive score (numpy: radix-sorted and searched). Work is linear in the
pixels.

Arrays and memory maps are read twice (positives and partition sizes, lower bits); a stream that can be read
once keeps the lower bits of all partitions.

The loops are `kernels`, compiled by numba, or `plain_kernels`, numpy alone; both give the same integers as
the sort of `gather` (tests/metrics/test_compiled_path.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import numpy as np

from bench.data.parallel import processors
from bench.metrics.chunks import PIXELS_A_CHUNK, MapChunks
from bench.metrics.tally import Tally, require_both_classes

PARTITIONS = 1 << 16
MOST_THREADS = 8

Result = TypeVar("Result")
Flat = tuple[np.ndarray, np.ndarray]


def tally_float32(chunks: MapChunks, per_image: bool, kernels: ModuleType) -> tuple[Tally, int, np.ndarray]:
    """(tally with region overlap, regions, best IoU of each anomalous image) of float32 maps.

    kernels: `kernels` (numba) or `plain_kernels` (numpy). Raises TypeError where maps are float64, which has
    no 32-bit key.
    """
    if chunks.dtype != np.float32:
        raise TypeError(f"the radix path is for float32 maps, not {chunks.dtype}")
    with _Pool(min(MOST_THREADS, processors())) as pool:
        negatives = _Negatives(pool, kernels)
        keys, sizes, ious, regions, pixels = [], [], [], 0, 0
        for maps, masks in chunks.read(finite=not chunks.rereadable):
            bits, mask = _bits(maps), masks.view(np.uint8)
            # the counts go on while the positives are looked at
            counting = negatives.tally(bits.ravel(), mask.ravel()) if chunks.rereadable else []
            if not chunks.rereadable:
                negatives.keep(bits.ravel(), mask.ravel())
            chunk_keys, chunk_sizes, chunk_regions, chunk_ious = _positives(
                pool, bits, mask, per_image, kernels
            )
            keys.append(chunk_keys)
            sizes.append(chunk_sizes)
            ious += chunk_ious
            regions += chunk_regions
            pixels += masks.size
            if not all(run.result() for run in counting):
                _refuse(chunks)
        negatives.flush()
        positives = sum(map(len, keys))
        require_both_classes(positives, pixels - positives, "masks")
        held = np.zeros(PARTITIONS, bool)
        for each in keys:
            held[each >> 16] = True
        ranking = pool.submit(_ranked, keys, sizes, kernels)
        if chunks.rereadable:
            again = ((_bits(maps).ravel(), masks.view(np.uint8).ravel()) for maps, masks in chunks.read())
            negatives.partition(again, held)
        else:
            negatives.merge(held)
        thresholds, is_last, of_region = ranking.result()
        at_least, above = negatives.count(thresholds)
        del negatives  # and with it the lower bits; what needs memory comes after them
    fp, fp_above = at_least.astype(np.int64), above.astype(np.int64)
    last = np.flatnonzero(is_last)
    tp, overlap = last + 1, np.minimum(np.cumsum(1.0 / of_region)[last] / regions, 1.0)
    overlap[-1] = 1.0
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


def _refuse(chunks: MapChunks) -> NoReturn:
    """Raises the sentence of the checked read, which says where the bad value is."""
    for _ in chunks.read(finite=True):
        pass
    raise AssertionError("a value was not finite, and then it was")


def _ranked(
    keys: list[np.ndarray], sizes: list[np.ndarray], kernels: ModuleType
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distinct keys uint32 [T]; whether a positive is the last of its key, bool [P]; the size of its region,
    uint32 [P]), all by descending key.

    keys, sizes: uint32, of the positives and of their regions; both lists are emptied.
    """
    ranked, of_region = np.concatenate(keys), np.concatenate(sizes)
    keys.clear()
    sizes.clear()
    ranked, of_region = kernels.sort_keys(ranked, of_region)
    ranked, of_region = ranked[::-1], of_region[::-1]
    is_last = np.append(ranked[1:] != ranked[:-1], True)
    return ranked[is_last], is_last, of_region


def _positives(
    pool: _Pool, bits: np.ndarray, mask: np.ndarray, per_image: bool, kernels: ModuleType
) -> tuple[np.ndarray, np.ndarray, int, list[float]]:
    """(keys, sizes of their regions, regions, best IoU of each anomalous image) of one chunk."""
    counts = [int(np.count_nonzero(m)) for m in mask.view(bool)]
    ends = np.cumsum(counts)
    keys, sizes = np.empty(ends[-1], np.uint32), np.empty(ends[-1], np.uint32)

    def of_image(i: int) -> tuple[int, float]:
        own = slice(ends[i] - counts[i], ends[i])
        regions = kernels.positives_of(bits[i], mask[i], keys[own], sizes[own])
        if not per_image:
            return regions, 0.0
        return regions, kernels.best_iou(bits[i].ravel(), mask[i].ravel(), keys[own])

    found = pool.spread(of_image, [i for i, count in enumerate(counts) if count])
    return keys, sizes, sum(regions for regions, _ in found), [best for _, best in found]


class _Negatives:
    """The lower key bits of the negatives, grouped by partition."""

    def __init__(self, pool: _Pool, kernels: ModuleType) -> None:
        self.pool, self.threads, self.kernels = pool, pool.threads, kernels
        self.waiting: list[Flat] = []
        self.parts: list[Flat] = []
        self.of_thread = np.zeros((self.threads, PARTITIONS), np.int64)
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
        of_thread = np.zeros_like(self.of_thread)
        for bits, mask in waiting:
            for run in self._count(bits, mask, of_thread):
                run.result()
        low, starts = self._grouped(waiting, of_thread, of_thread.sum(axis=0) > 0)
        self.parts.append((low, starts))
        self.of_thread += of_thread

    def tally(self, bits: np.ndarray, mask: np.ndarray) -> list[Future[bool]]:
        """Counts partitions of a chunk that can be read again; whether all scores of a part are finite."""
        return self._count(bits, mask, self.of_thread)

    def partition(self, again: Iterable[Flat], held: np.ndarray) -> None:
        """The chunks that were tallied, read again: only partitions that are held, bool [65536]."""
        self.low, self.starts = self._grouped(again, self.of_thread, held)

    @property
    def counts(self) -> np.ndarray:
        """Negatives of each partition, int64 [65536]."""
        return self.of_thread.sum(axis=0)

    def merge(self, held: np.ndarray) -> None:
        """The kept chunks in one, without the partitions that are not held."""
        self.starts = _starts(np.where(held, self.counts, 0))
        self.low = np.empty(self.starts[-1], np.uint16)
        heads, partitions = self.starts[:-1].copy(), np.flatnonzero(held)
        while self.parts:  # freed one by one, so that the lower bits are not held twice
            self.kernels.move_partitions(*self.parts.pop(), partitions, heads, self.low)

    def count(self, thresholds: np.ndarray) -> Flat:
        """(negatives at or above, above) each key of `thresholds` (distinct, descending), integers [T]."""
        counts = self.counts
        total = int(counts.sum())
        kind = np.uint32 if total < 1 << 32 else np.int64  # half the memory while the lower bits are held
        at_least, above = np.empty(thresholds.size, kind), np.empty(thresholds.size, kind)
        higher = total - np.cumsum(counts)  # negatives of higher partitions
        firsts = np.append(np.flatnonzero(np.diff(thresholds >> 16, prepend=PARTITIONS)), thresholds.size)

        step = max(1, (firsts.size - 1) // 32)

        def of_some(i: int) -> None:
            some = firsts[i : i + step + 1]
            self.kernels.count_at(self.low, self.starts, thresholds, some, higher, at_least, above)

        self.pool.spread(of_some, range(0, firsts.size - 1, step))
        return at_least, above

    def _count(self, bits: np.ndarray, mask: np.ndarray, of_thread: np.ndarray) -> list[Future[bool]]:
        return self._each(self.kernels.count_partitions, bits, mask, lambda t: (of_thread[t],))

    def _grouped(self, flat: Iterable[Flat], of_thread: np.ndarray, kept: np.ndarray) -> Flat:
        """(lower bits by partition, start of each) of the negatives that `of_thread` counted."""
        counts = of_thread.sum(axis=0)
        starts = _starts(np.where(kept, counts, 0))
        low = np.empty(starts[-1] + 64 * self.threads, np.uint16)
        kind = np.uint32 if low.size < 1 << 32 else np.int64  # narrow ones are a quarter faster
        # a thread writes behind the threads before it; what is not kept goes to a place of its own at the end
        before = np.cumsum(of_thread, axis=0) - of_thread
        spare = starts[-1] + 64 * np.arange(self.threads)[:, None]
        heads = np.where(kept, starts[:-1] + before, spare).astype(kind)
        step = kept.astype(kind)
        for bits, mask in flat:
            for run in self._each(self.kernels.scatter, bits, mask, lambda t: (heads[t], step, low)):
                run.result()
        return low, starts

    def _each(
        self, kernel: Callable[..., Any], bits: np.ndarray, mask: np.ndarray, state: Callable[[int], tuple]
    ) -> list[Future[Any]]:
        cuts = np.linspace(0, bits.size, self.threads + 1).astype(int)
        return [
            self.pool.submit(kernel, bits[cuts[t] : cuts[t + 1]], mask[cuts[t] : cuts[t + 1]], *state(t))
            for t in range(self.threads)
        ]


def _bits(maps: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(maps).view(np.uint32)


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])


def _scores(keys: np.ndarray) -> np.ndarray:
    turned = keys >> np.uint32(31)  # in place from here on: 1 where only the sign was turned
    turned -= np.uint32(1)
    turned |= np.uint32(0x80000000)
    turned ^= keys
    return turned.view(np.float32)
