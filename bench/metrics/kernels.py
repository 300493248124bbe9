"""Loops of `radix`, compiled by numba on import; each runs without the interpreter lock.

Scores come as the bits of float32. `key` orders those bits like the scores, with -0.0 as 0.0.
"""

from __future__ import annotations

import numpy as np
from numba import njit

DIGIT = 11
BUCKETS = 4096


@njit(cache=True, nogil=True, inline="always")
def key(bits):  # type: ignore[no-untyped-def]
    # without a branch: all bits turn below 0, the sign's alone otherwise; -0.0, now one too low, moves up
    signs = np.uint32(np.int32(bits) >> np.int32(31))
    turned = np.uint32(bits ^ (signs | np.uint32(0x80000000)))
    return np.uint32(turned + np.uint32(turned == np.uint32(0x7FFFFFFF)))


@njit(cache=True, nogil=True)
def count_partitions(bits, mask, counts):  # type: ignore[no-untyped-def]
    """Adds the negatives of bits uint32 [n], mask uint8 [n] to counts int64 [65536]; whether all are finite.

    A partition is the upper half of a key, so NaN and infinities of negatives show in the counts alone.
    """
    finite = True
    for i in range(bits.size):
        if mask[i] == 0:
            counts[key(bits[i]) >> np.uint32(16)] += 1
        elif bits[i] & np.uint32(0x7F800000) == np.uint32(0x7F800000):
            finite = False
    # keys of -inf and negative NaN lie up to 0x007FFFFF, those of inf and NaN from 0xFF800000 on
    return finite and counts[:0x0080].sum() == 0 and counts[0xFF80:].sum() == 0


@njit(cache=True, nogil=True)
def scatter(bits, mask, heads, step, low):  # type: ignore[no-untyped-def]
    """Writes the lower key bits of the negatives to low uint16, at heads [65536] of their partition.

    heads, step: uint32 or int64; step is 1 for partitions that are kept, the others write again and again to
    a spare place.
    """
    for i in range(bits.size):
        if mask[i] == 0:
            k = key(bits[i])
            partition = k >> np.uint32(16)
            head = heads[partition]
            low[np.int64(head)] = np.uint16(k & np.uint32(0xFFFF))
            heads[partition] = head + step[partition]


@njit(cache=True, nogil=True)
def move_partitions(part, starts, kept, heads, low):  # type: ignore[no-untyped-def]
    """Copies the kept partitions of one chunk (part uint16, starts int64 [65537]) to their heads in low."""
    for p in kept:
        for i in range(starts[p], starts[p + 1]):
            low[heads[p]] = part[i]
            heads[p] += 1


@njit(cache=True, nogil=True)
def count_at(low, start, stop, positive, above, at_least, over):  # type: ignore[no-untyped-def]
    """Negatives of one partition at or above, and above, each of its distinct positives.

    low[start:stop]: lower bits of the negatives; positive: keys of the positives, descending; above: the
    negatives of higher partitions; at_least, over: integers, filled.
    """
    size = stop - start
    if size < 512:  # clearing and walking 65,536 counters would take longer than a sort
        few = np.sort(low[start:stop])
        i = size - 1
        for t in range(positive.size):
            own = np.uint16(positive[t] & np.uint32(0xFFFF))
            while i >= 0 and few[i] > own:
                i -= 1
            over[t] = above + size - 1 - i
            j = i
            while j >= 0 and few[j] == own:
                j -= 1
            at_least[t] = above + size - 1 - j
        return
    if size < 65536:
        _count_in(np.zeros(65536, np.uint16), low[start:stop], positive, above, at_least, over)
    else:
        _count_in(np.zeros(65536, np.uint32), low[start:stop], positive, above, at_least, over)


@njit(cache=True, nogil=True)
def _count_in(counters, low, positive, above, at_least, over):  # type: ignore[no-untyped-def]
    """`count_at` of all of low, in zeroed counters [65536] that are wide enough for its size."""
    for lower in low:
        counters[lower] += 1
    total = above
    value = np.int64(65535)
    for t in range(positive.size):
        place = np.int64(positive[t] & np.uint32(0xFFFF))
        while value > place:
            total += np.int64(counters[value])
            value -= 1
        over[t] = total
        at_least[t] = total + np.int64(counters[value])


@njit(cache=True, nogil=True)
def sort_keys(keys, values):  # type: ignore[no-untyped-def]
    """(keys uint32, values) by ascending key, stable: three counting passes of 11 bits."""
    other_keys, other_values = np.empty_like(keys), np.empty_like(values)
    for digit in range(3):
        shift = np.uint32(digit * DIGIT)
        starts = np.zeros((1 << DIGIT) + 1, np.int64)
        for i in range(keys.size):
            starts[((keys[i] >> shift) & np.uint32((1 << DIGIT) - 1)) + 1] += 1
        for d in range(1 << DIGIT):
            starts[d + 1] += starts[d]
        for i in range(keys.size):
            d = (keys[i] >> shift) & np.uint32((1 << DIGIT) - 1)
            other_keys[starts[d]] = keys[i]
            other_values[starts[d]] = values[i]
            starts[d] += 1
        keys, other_keys = other_keys, keys
        values, other_values = other_values, values
    return keys, values


@njit(cache=True, nogil=True)
def _root(parent, label):  # type: ignore[no-untyped-def]
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@njit(cache=True, nogil=True)
def positives_of(bits, mask, keys, region_sizes):  # type: ignore[no-untyped-def]
    """Keys of the defect pixels of one image, in row order, and the sizes of their 8-connected regions.

    bits uint32 [H, W], mask uint8 [H, W]; keys and region_sizes uint32 [P] are filled. Returns the number of
    regions.
    """
    height, width = mask.shape
    of_pixel = np.empty(keys.size, np.int32)
    parent = np.empty(keys.size + 1, np.int32)
    before, row = np.zeros(width + 2, np.int32), np.zeros(width + 2, np.int32)
    found, made = 0, 0
    for y in range(height):
        found_any = np.uint8(0)
        for x in range(width):
            found_any |= mask[y, x]
        if found_any == 0:  # most rows: seen 32 pixels at a time
            before[:] = 0
            continue
        for x in range(width):
            if mask[y, x] == 0:
                row[x + 1] = 0
                continue
            # a pixel straight above already joins the other three neighbours
            label = before[x + 1]
            if label == 0:
                label = row[x] if row[x] else before[x]
                right = before[x + 2]
                if label == 0:
                    label = right
                elif right:
                    a, b = _root(parent, label), _root(parent, right)
                    if a != b:
                        parent[max(a, b)] = min(a, b)
                if label == 0:
                    made += 1
                    parent[made] = made
                    label = made
            row[x + 1] = label
            of_pixel[found] = label
            keys[found] = key(bits[y, x])
            found += 1
        before, row = row, before
    sizes = np.zeros(made + 1, np.int64)
    for i in range(found):
        of_pixel[i] = _root(parent, of_pixel[i])
        sizes[of_pixel[i]] += 1
    for i in range(found):
        region_sizes[i] = sizes[of_pixel[i]]
    regions = 0
    for label in range(1, made + 1):
        regions += parent[label] == label
    return regions


@njit(cache=True, nogil=True)
def best_iou(bits, mask, positive):  # type: ignore[no-untyped-def]
    """The best IoU of one image over its own thresholds.

    bits uint32 [n], mask uint8 [n]; positive: the keys of its defect pixels, ascending. The keys are put into
    4,096 buckets; a bucket whose bound cannot beat the best value at a bucket's end needs no closer look.
    """
    count, lowest, highest = positive.size, positive[0], positive[-1]
    shift = np.uint32(0)
    while (highest - lowest) >> shift >= BUCKETS:
        shift += np.uint32(1)
    # without a branch: below the lowest into the first, above the highest into the last of two more buckets
    first, span = np.int64(lowest), np.int64(highest) - np.int64(lowest)
    every = np.zeros(BUCKETS + 2, np.int64)
    for i in range(bits.size):
        gap = np.int64(key(bits[i])) - first
        place = (max(gap, np.int64(-1)) >> np.int64(shift)) + 1
        every[np.uint64(place if gap <= span else BUCKETS + 1)] += 1
    positives = np.zeros(BUCKETS, np.int64)
    for i in range(count):
        positives[(positive[i] - lowest) >> shift] += 1
    negatives = every[1 : BUCKETS + 1] - positives
    over = every[BUCKETS + 1]
    best, tp, fp = 0.0, 0, over
    for b in range(BUCKETS - 1, -1, -1):
        tp += positives[b]
        fp += negatives[b]
        if positives[b]:
            best = max(best, tp / (count + fp))
    close = np.zeros(BUCKETS, np.bool_)
    above = np.zeros(BUCKETS, np.int64)
    wanted, tp, fp = 0, 0, over
    for b in range(BUCKETS - 1, -1, -1):
        above[b] = fp
        tp += positives[b]
        if positives[b] and negatives[b] and tp / (count + fp) > best:
            close[b] = True
            wanted += negatives[b]
        fp += negatives[b]
    if wanted == 0:
        return best
    near = np.empty(wanted, np.uint32)
    at = 0
    lowest_close = lowest + (np.uint32(np.argmax(close)) << shift)
    for i in range(bits.size):
        k = key(bits[i])
        if lowest_close <= k <= highest and mask[i] == 0 and close[(k - lowest) >> shift]:
            near[at] = k
            at += 1
    near = np.sort(near)
    j, passed, bucket = wanted - 1, 0, -1
    for i in range(count - 1, -1, -1):
        b = (positive[i] - lowest) >> shift
        if not close[b] or (i > 0 and positive[i - 1] == positive[i]):
            continue
        if b != bucket:
            bucket = b
            while j >= 0 and (near[j] - lowest) >> shift > b:
                j -= 1
            passed = j
        while j >= 0 and near[j] >= positive[i]:
            j -= 1
        best = max(best, (count - i) / (count + above[b] + passed - j))
    return best
