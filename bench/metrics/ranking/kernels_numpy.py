"""What `kernels_numba` does, by numpy: its radix sorts of 16-bit numbers stand for the counting loops.

The same class and functions with the same arguments and results; `_BLOCK` pixels at a time, so that arrays on
the way stay in the cache.
"""

from __future__ import annotations

import itertools

import numpy as np

from bench.metrics.ranking.regions import region_sizes

PARTITIONS = 1 << 16
BUCKETS = 4096
_BLOCK = 1 << 17


def key(bits: np.ndarray) -> np.ndarray:
    """Keys uint32 of bits uint32: in the order of the scores, with -0.0 as 0.0."""
    if not bits.size or bits.max() < 0x80000000:
        return bits | np.uint32(0x80000000)
    signs = (bits.view(np.int32) >> 31).view(np.uint32)
    keys = bits ^ (signs | np.uint32(0x80000000))
    keys += keys == 0x7FFFFFFF  # -0.0, alone
    return keys


def _upper(keys: np.ndarray) -> np.ndarray:
    return (keys >> np.uint32(16)).astype(np.uint16)


class Negatives:
    """The lower key bits of the negatives by partition, in parts of about `_BLOCK` pixels.

    A part is (lower bits uint16 [n], grouped; the partitions it holds, ascending; the end of each).
    """

    def __init__(self, threads: int, pixels: int) -> None:
        self._waiting: list[list[np.ndarray]] = [[] for _ in range(threads)]
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def make_room(self, pixels: int) -> None:
        """Each part makes its own."""

    def add(self, thread: int, bits: np.ndarray, mask: np.ndarray) -> None:
        waiting = self._waiting[thread]
        for start in range(0, bits.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            waiting.append(key(bits[part][mask[part] == 0]))
            if sum(map(len, waiting)) >= _BLOCK // 2:  # single images of a stream wait for others
                self._group(waiting)

    def _group(self, waiting: list[np.ndarray]) -> None:
        keys = np.concatenate(waiting)
        waiting.clear()
        if not keys.size:
            return
        upper = _upper(keys)
        lowest = int(upper.min())
        upper -= lowest
        sizes = np.bincount(upper)
        present = np.flatnonzero(sizes)
        low = keys.astype(np.uint16)[np.argsort(upper, kind="stable")]
        self._parts.append((low, present + lowest, np.cumsum(sizes[present])))

    def finish(self) -> np.ndarray:
        for waiting in filter(None, self._waiting):
            self._group(waiting)
        self._part = np.repeat(
            np.arange(len(self._parts)), [len(partitions) for _, partitions, _ in self._parts]
        )
        partitions = np.concatenate([partitions for _, partitions, _ in self._parts])
        self._ends = np.concatenate([ends for *_, ends in self._parts])
        sizes = np.concatenate([np.diff(ends, prepend=0) for *_, ends in self._parts])
        self._starts = self._ends - sizes
        self._order = np.argsort(partitions, kind="stable")
        self._firsts = np.searchsorted(partitions[self._order], np.arange(PARTITIONS + 1))
        return np.bincount(partitions, sizes, PARTITIONS).astype(np.int64)

    def count_at(
        self,
        thresholds: np.ndarray,
        firsts: np.ndarray,
        higher: np.ndarray,
        at_least: np.ndarray,
        above: np.ndarray,
    ) -> None:
        for first, last in itertools.pairwise(firsts.tolist()):
            p = int(thresholds[first]) >> 16
            ranked = np.sort(self._of_partition(p), kind="stable")  # for 16 bits a radix sort
            low = thresholds[first:last].astype(np.uint16)
            everything = higher[p] + ranked.size
            at_least[first:last] = everything - np.searchsorted(ranked, low, side="left")
            above[first:last] = everything - np.searchsorted(ranked, low, side="right")

    def _of_partition(self, p: int) -> np.ndarray:
        rows = self._order[self._firsts[p] : self._firsts[p + 1]]
        places = (column[rows].tolist() for column in (self._part, self._starts, self._ends))
        values = [self._parts[part][0][start:end] for part, start, end in zip(*places, strict=True)]
        return np.concatenate([np.zeros(0, np.uint16), *values])


def sort_keys(keys: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    order = order[np.argsort(_upper(keys)[order], kind="stable")]
    return keys[order], sizes[order]


def distinct(keys: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    last = np.flatnonzero(np.append(keys[:0:-1] != keys[-2::-1], True))
    shares = 1.0 / sizes[::-1]
    return keys[::-1][last], last + 1, np.cumsum(shares, out=shares)[last]


def positives_of(bits: np.ndarray, mask: np.ndarray, keys: np.ndarray, region_sizes_of: np.ndarray) -> int:
    truth = mask.view(bool)
    keys[:] = key(bits[truth])
    region_sizes_of[:], regions = region_sizes(truth)
    return regions


def best_iou(bits: np.ndarray, mask: np.ndarray, positive: np.ndarray) -> float:
    positive = np.sort(positive)
    count, lowest = positive.size, positive[0]
    shift = np.uint32(max(0, int(positive[-1] - lowest).bit_length() - BUCKETS.bit_length() + 1))
    keys = key(bits)
    # below the lowest into the first bucket, where they only lower its value; far above into one more
    bucket_of = np.minimum((np.maximum(keys, lowest) - lowest) >> shift, np.uint32(BUCKETS)).astype(np.intp)
    positive_bucket = (positive - lowest) >> shift
    in_bucket = np.bincount(bucket_of, minlength=BUCKETS + 1)
    positives = np.bincount(positive_bucket, minlength=BUCKETS)
    tp = np.cumsum(positives[::-1])[::-1]
    fp = np.cumsum(in_bucket[::-1])[:0:-1] - tp
    above = fp - in_bucket[:-1] + positives
    best = float((tp / (count + fp)).max())
    close = tp / (count + above) > best
    close &= positives > 0
    if not close.any():
        return best
    near = keys[np.append(close, False).take(bucket_of) & (mask == 0)]
    near = np.sort(near[near >= lowest])
    chosen = np.flatnonzero(close[positive_bucket])
    inside = np.searchsorted((near - lowest) >> shift, positive_bucket[chosen], side="right")
    inside -= np.searchsorted(near, positive[chosen])
    return max(best, float(((count - chosen) / (count + above[positive_bucket[chosen]] + inside)).max()))
