"""Loops of `radix`, compiled by numba on import; each runs without the interpreter lock.

Scores come as the bits of float32. `key` orders those bits like the scores, with -0.0 as 0.0.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

DIGIT = 11
BUCKETS = 1024
BLOCK = 1024


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


@intrinsic
def _will_write(context, array, place):  # type: ignore[no-untyped-def]
    """Asks the cache for array[place], which need not exist, without waiting for it."""

    def emit(target, builder, signature, values):  # type: ignore[no-untyped-def]
        held = target.make_array(array)(target, builder, values[0])
        address = cgutils.get_item_pointer(target, builder, array, held, [values[1]], wraparound=False)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, number(1), number(3), number(1)])  # a write, to keep, of data
        return target.get_dummy_value()

    return types.void(array, types.int64), emit


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
            head = np.int64(heads[partition])
            # hundreds of places are written to in turn: the next line of each must come in time
            _will_write(low, head + 32)  # type: ignore[call-arg]
            low[head] = np.uint16(k & np.uint32(0xFFFF))
            heads[partition] += step[partition]


@njit(cache=True, nogil=True)
def move_partitions(part, starts, kept, heads, low):  # type: ignore[no-untyped-def]
    """Copies the kept partitions of one chunk (part uint16, starts int64 [65537]) to their heads in low."""
    for p in kept:
        for i in range(starts[p], starts[p + 1]):
            low[heads[p]] = part[i]
            heads[p] += 1


@njit(cache=True, nogil=True)
def count_at(low, starts, thresholds, firsts, higher, at_least, above):  # type: ignore[no-untyped-def]
    """Fills in the negatives at or above, and above, the thresholds of some partitions, integers [T].

    low, starts: lower bits of the negatives by partition; thresholds: distinct keys, descending, of which
    partition i has firsts[i]:firsts[i + 1]; higher int64 [65536]: the negatives of higher partitions.
    """
    narrow, wide = np.empty(1 << 16, np.uint16), np.empty(1 << 16, np.uint32)
    for i in range(firsts.size - 1):
        own = slice(firsts[i], firsts[i + 1])
        p = thresholds[own.start] >> np.uint32(16)
        values = low[starts[p] : starts[p + 1]]
        if values.size < 512:  # clearing and walking 65,536 counters would take longer than a sort
            _count_sorted(np.sort(values), thresholds[own], higher[p], at_least[own], above[own])
        elif values.size < 1 << 16:
            _count_in(narrow, values, thresholds[own], higher[p], at_least[own], above[own])
        else:
            _count_in(wide, values, thresholds[own], higher[p], at_least[own], above[own])


@njit(cache=True, nogil=True)
def _count_sorted(few, positive, higher, at_least, above):  # type: ignore[no-untyped-def]
    """`count_at` of one partition, by its sorted lower bits."""
    i = few.size - 1
    for t in range(positive.size):
        own = np.uint16(positive[t] & np.uint32(0xFFFF))
        while i >= 0 and few[i] > own:
            i -= 1
        above[t] = higher + few.size - 1 - i
        j = i
        while j >= 0 and few[j] == own:
            j -= 1
        at_least[t] = higher + few.size - 1 - j


@njit(cache=True, nogil=True)
def _count_in(counters, low, positive, higher, at_least, above):  # type: ignore[no-untyped-def]
    """`count_at` of one partition, in counters [65536] that are wide enough for its size."""
    counters[:] = 0
    for lower in low:
        counters[lower] += 1
    total, behind = higher, np.int64(1 << 16)
    for t in range(positive.size):
        place = np.int64(positive[t] & np.uint32(0xFFFF))
        between = np.uint32(0)
        for value in range(place + 1, behind):
            between += np.uint32(counters[np.uint64(value)])
        total += np.int64(between)
        above[t] = total
        total += np.int64(counters[place])
        at_least[t] = total
        behind = place


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

    bits uint32 [n], mask uint8 [n]; positive: the keys of its defect pixels. The keys are put into 1,024
    buckets; a bucket whose bound cannot beat the best value at a bucket's end needs no closer look.
    """
    count, lowest, highest = positive.size, positive.min(), positive.max()
    shift = np.uint32(0)
    while (highest - lowest) >> shift >= BUCKETS:
        shift += np.uint32(1)
    every = _buckets(bits, lowest, highest, shift)
    positives = np.zeros(BUCKETS, np.int64)
    for k in positive:
        positives[(k - lowest) >> shift] += 1
    negatives = every[1 : BUCKETS + 1] - positives
    tp_above, fp_above = np.zeros(BUCKETS, np.int64), np.zeros(BUCKETS, np.int64)
    best, tp, fp = 0.0, 0, every[BUCKETS + 1]
    for b in range(BUCKETS - 1, -1, -1):
        tp_above[b], fp_above[b] = tp, fp
        tp += positives[b]
        fp += negatives[b]
        if positives[b]:
            best = max(best, tp / (count + fp))
    close = np.zeros(BUCKETS, np.bool_)
    near, wanted = 0, 0
    for b in range(BUCKETS):
        bound = (tp_above[b] + positives[b]) / (count + fp_above[b])
        if positives[b] and negatives[b] and bound > best:
            close[b] = True
            near += positives[b]
            wanted += negatives[b]
    if wanted == 0:
        return best
    first, last = np.argmax(close), BUCKETS - 1 - np.argmax(close[::-1])
    low = lowest + (np.uint32(first) << shift)
    reach = (np.uint32(last) << shift) | ((np.uint32(1) << shift) - np.uint32(1))
    high = lowest + min(reach, highest - lowest)
    true, false = np.empty(near, np.uint32), np.empty(wanted, np.uint32)
    at, to = 0, 0
    for start in range(0, bits.size, 64):
        block = bits[start : start + 64]
        inside = np.uint32(0)
        for i in range(block.size):  # most blocks hold none, which is seen 16 pixels at a time
            k = key(block[i])
            inside += np.uint32(k >= low) & np.uint32(k <= high)
        if inside == 0:
            continue
        for i in range(block.size):
            k = key(block[i])
            if low <= k <= high and close[(k - lowest) >> shift]:
                if mask[start + i]:
                    true[at] = k
                    at += 1
                else:
                    false[to] = k
                    to += 1
    true, false = np.sort(true), np.sort(false)
    i, j = near - 1, wanted - 1
    while i >= 0:
        b = (true[i] - lowest) >> shift
        tp, fp = tp_above[b], fp_above[b]
        while i >= 0 and (true[i] - lowest) >> shift == b:
            threshold = true[i]
            while i >= 0 and true[i] == threshold:
                i -= 1
                tp += 1
            while j >= 0 and false[j] >= threshold:
                fp += (false[j] - lowest) >> shift == b
                j -= 1
            best = max(best, tp / (count + fp))
    return best


@njit(cache=True, nogil=True)
def _buckets(bits, lowest, highest, shift):  # type: ignore[no-untyped-def]
    """How many keys lie below `lowest`, in each bucket of 2^shift from it on, and above `highest`,
    [BUCKETS + 2]; lowest, highest, shift: uint32."""
    # maps are smooth: neighbours often share a bucket, and in one table each would wait for the one before
    every = np.zeros((4, BUCKETS + 2), np.uint32)
    place = np.empty(BLOCK, np.uint16)
    for start in range(0, bits.size, BLOCK):
        block = bits[start : start + BLOCK]
        for i in range(block.size):
            k = key(block[i])
            bucket = np.uint16((min(max(k, lowest), highest) - lowest) >> shift) + np.uint16(1)
            bucket = bucket if k >= lowest else np.uint16(0)
            place[i] = bucket if k <= highest else np.uint16(BUCKETS + 1)
        whole = block.size // 4 * 4
        for i in range(0, whole, 4):
            every[0, place[i]] += 1
            every[1, place[i + 1]] += 1
            every[2, place[i + 2]] += 1
            every[3, place[i + 3]] += 1
        for i in range(whole, block.size):
            every[0, place[i]] += 1
    return every.sum(axis=0).astype(np.int64)
