"""Loops of `count_float32` over one image, compiled by numba; each runs without the interpreter lock."""

from __future__ import annotations

import numpy as np

from bench.metrics.ranking.compiled import compiled
from bench.metrics.ranking.keys import distinct, key, sort_keys
from bench.metrics.ranking.negatives_numba import Negatives

__all__ = ["Negatives", "best_iou", "distinct", "positives_of", "sort_keys"]

BUCKETS = 1024
BLOCK = 1024


@compiled()
def _root(parent, label):  # type: ignore[no-untyped-def]
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@compiled()
def positives_of(bits, mask, keys, region_sizes):  # type: ignore[no-untyped-def]
    """Keys of the defect pixels of one image, in row order, and the sizes of their 8-connected regions.

    bits uint32 [H, W], mask uint8 [H, W]; keys and region_sizes uint32 [P] are filled. Returns the number of
    regions.
    """
    height, width = mask.shape
    of_pixel = np.empty(keys.size, np.int32)
    parent = np.empty(keys.size + 1, np.int32)
    before, row = np.zeros(width + 2, np.int32), np.zeros(width + 2, np.int32)
    pixels, labels = 0, 0
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
                    labels += 1
                    parent[labels] = labels
                    label = labels
            row[x + 1] = label
            of_pixel[pixels] = label
            keys[pixels] = key(bits[y, x])
            pixels += 1
        before, row = row, before
    sizes = np.zeros(labels + 1, np.int64)
    for i in range(pixels):
        of_pixel[i] = _root(parent, of_pixel[i])
        sizes[of_pixel[i]] += 1
    for i in range(pixels):
        region_sizes[i] = sizes[of_pixel[i]]
    regions = 0
    for label in range(1, labels + 1):
        regions += parent[label] == label
    return regions


@compiled()
def best_iou(bits, mask, positive):  # type: ignore[no-untyped-def]
    """The best IoU of one image over its own thresholds.

    bits uint32 [n], mask uint8 [n]; positive: the keys of its defect pixels. The keys are put into 1,024
    buckets; a bucket whose bound cannot beat the best value at a bucket's end needs no closer look.
    """
    count, lowest, highest = positive.size, positive.min(), positive.max()
    shift = np.uint32(0)
    while (highest - lowest) >> shift >= BUCKETS:
        shift += np.uint32(1)
    in_bucket = _buckets(bits, lowest, highest, shift)
    positives = np.zeros(BUCKETS, np.int64)
    for k in positive:
        positives[(k - lowest) >> shift] += 1
    negatives = in_bucket[1 : BUCKETS + 1] - positives
    tp_above, fp_above = np.zeros(BUCKETS, np.int64), np.zeros(BUCKETS, np.int64)
    best, tp, fp = 0.0, 0, in_bucket[BUCKETS + 1]
    for b in range(BUCKETS - 1, -1, -1):
        tp_above[b], fp_above[b] = tp, fp
        tp += positives[b]
        fp += negatives[b]
        if positives[b]:
            best = max(best, tp / (count + fp))
    close = np.zeros(BUCKETS, np.bool_)
    near, near_negatives = 0, 0
    for b in range(BUCKETS):
        bound = (tp_above[b] + positives[b]) / (count + fp_above[b])
        if positives[b] and negatives[b] and bound > best:
            close[b] = True
            near += positives[b]
            near_negatives += negatives[b]
    if near_negatives == 0:
        return best
    first, last = np.argmax(close), BUCKETS - 1 - np.argmax(close[::-1])
    low = lowest + (np.uint32(first) << shift)
    reach = (np.uint32(last) << shift) | ((np.uint32(1) << shift) - np.uint32(1))
    high = lowest + min(reach, highest - lowest)
    true, false = np.empty(near, np.uint32), np.empty(near_negatives, np.uint32)
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
    i, j = near - 1, near_negatives - 1
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


@compiled()
def _buckets(bits, lowest, highest, shift):  # type: ignore[no-untyped-def]
    """How many keys lie below `lowest`, in each bucket of 2^shift from it on, and above `highest`,
    [BUCKETS + 2]; lowest, highest, shift: uint32."""
    # maps are smooth: neighbours often share a bucket, and in one table each would wait for the one before
    tables = np.zeros((4, BUCKETS + 2), np.uint32)
    bucket_of = np.empty(BLOCK, np.uint16)
    for start in range(0, bits.size, BLOCK):
        block = bits[start : start + BLOCK]
        for i in range(block.size):
            k = key(block[i])
            bucket = np.uint16((min(max(k, lowest), highest) - lowest) >> shift) + np.uint16(1)
            bucket = bucket if k >= lowest else np.uint16(0)
            bucket_of[i] = bucket if k <= highest else np.uint16(BUCKETS + 1)
        whole = block.size // 4 * 4
        for i in range(0, whole, 4):
            tables[0, bucket_of[i]] += 1
            tables[1, bucket_of[i + 1]] += 1
            tables[2, bucket_of[i + 2]] += 1
            tables[3, bucket_of[i + 3]] += 1
        for i in range(whole, block.size):
            tables[0, bucket_of[i]] += 1
    return tables.sum(axis=0).astype(np.int64)
