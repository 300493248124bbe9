"""What `kernels` does, by numpy: its radix sorts of 16-bit numbers stand for the counting loops.

The same functions with the same arguments and results; `_BLOCK` pixels at a time, so that arrays on the way
stay in the cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from bench.metrics.regions import region_sizes

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


def _blocks(bits: np.ndarray, mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, bits.size, _BLOCK):
        yield key(bits[start : start + _BLOCK]), mask[start : start + _BLOCK].view(bool)


def _upper(keys: np.ndarray) -> np.ndarray:
    return (keys >> np.uint32(16)).astype(np.uint16)


def count_partitions(bits: np.ndarray, mask: np.ndarray, counts: np.ndarray) -> bool:
    finite = True
    for keys, positive in _blocks(bits, mask):
        upper = _upper(keys)
        lowest = int(upper.min())
        every = np.bincount(upper - lowest)
        finite &= lowest >= 0x0080 and lowest + every.size <= 0xFF80
        counts[lowest : lowest + every.size] += every
        np.subtract.at(counts, upper[positive], 1)
    return finite


def scatter(bits: np.ndarray, mask: np.ndarray, heads: np.ndarray, step: np.ndarray, low: np.ndarray) -> None:
    kept = np.flatnonzero(step)
    rank = np.zeros(PARTITIONS, np.min_scalar_type(kept.size))  # 0 for what is not kept
    rank[kept] = np.arange(1, kept.size + 1)
    for keys, positive in _blocks(bits, mask):
        ranks = rank.take(_upper(keys))
        ranks *= ~positive
        grouped = keys.astype(np.uint16)[np.argsort(ranks, kind="stable")]
        ends = np.cumsum(np.bincount(ranks, minlength=kept.size + 1))
        for head, start, end in zip(heads[kept].tolist(), ends.tolist(), ends[1:].tolist(), strict=False):
            low[head : head + end - start] = grouped[start:end]
        heads[kept] += np.diff(ends).astype(heads.dtype)


def move_partitions(
    part: np.ndarray, starts: np.ndarray, kept: np.ndarray, heads: np.ndarray, low: np.ndarray
) -> None:
    for p in kept:
        moved = part[starts[p] : starts[p + 1]]
        low[heads[p] : heads[p] + moved.size] = moved
        heads[p] += moved.size


def count_at(
    low: np.ndarray,
    starts: np.ndarray,
    thresholds: np.ndarray,
    firsts: np.ndarray,
    higher: np.ndarray,
    at_least: np.ndarray,
    above: np.ndarray,
) -> None:
    for first, last in itertools.pairwise(firsts.tolist()):
        p = int(thresholds[first]) >> 16
        ranked = np.sort(low[starts[p] : starts[p + 1]], kind="stable")  # for 16 bits a radix sort
        own = thresholds[first:last].astype(np.uint16)
        everything = higher[p] + ranked.size
        at_least[first:last] = everything - np.searchsorted(ranked, own, side="left")
        above[first:last] = everything - np.searchsorted(ranked, own, side="right")


def sort_keys(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    order = order[np.argsort(_upper(keys)[order], kind="stable")]
    return keys[order], values[order]


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
    place = np.minimum((np.maximum(keys, lowest) - lowest) >> shift, np.uint32(BUCKETS)).astype(np.intp)
    own = (positive - lowest) >> shift
    every = np.bincount(place, minlength=BUCKETS + 1)
    positives = np.bincount(own, minlength=BUCKETS)
    tp = np.cumsum(positives[::-1])[::-1]
    fp = np.cumsum(every[::-1])[:0:-1] - tp
    above = fp - every[:-1] + positives
    best = float((tp / (count + fp)).max())
    close = tp / (count + above) > best
    close &= positives > 0
    if not close.any():
        return best
    near = keys[np.append(close, False).take(place) & (mask == 0)]
    near = np.sort(near[near >= lowest])
    chosen = np.flatnonzero(close[own])
    inside = np.searchsorted((near - lowest) >> shift, own[chosen], side="right")
    inside -= np.searchsorted(near, positive[chosen])
    return max(best, float(((count - chosen) / (count + above[own[chosen]] + inside)).max()))
