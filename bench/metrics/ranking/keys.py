"""Keys of float32 scores: uint32 that order like the scores, with -0.0 as 0.0. Compiled by numba."""

from __future__ import annotations

import numpy as np

from bench.metrics.ranking.compiled import compiled

DIGIT = 11


@compiled(inline="always")
def key(bits):  # type: ignore[no-untyped-def]
    # without a branch: all bits turn below 0, the sign's alone otherwise; -0.0, now one too low, moves up
    signs = np.uint32(np.int32(bits) >> np.int32(31))
    turned = np.uint32(bits ^ (signs | np.uint32(0x80000000)))
    return np.uint32(turned + np.uint32(turned == np.uint32(0x7FFFFFFF)))


@compiled()
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


@compiled()
def distinct(keys, sizes):  # type: ignore[no-untyped-def]
    """(distinct keys uint32 [T], descending; how many are at or above each, int64 [T]; the sum of 1 / size of
    those, float64 [T]) of ascending keys, uint32 [P], with the sizes of their regions."""
    count = 1
    for i in range(1, keys.size):
        count += keys[i] != keys[i - 1]
    thresholds, at_least = np.empty(count, np.uint32), np.empty(count, np.int64)
    shares = np.empty(count, np.float64)
    share, t = 0.0, 0
    for i in range(keys.size - 1, -1, -1):
        share += 1.0 / sizes[i]
        if i == 0 or keys[i] != keys[i - 1]:
            thresholds[t], at_least[t], shares[t] = keys[i], keys.size - i, share
            t += 1
    return thresholds, at_least, shares
