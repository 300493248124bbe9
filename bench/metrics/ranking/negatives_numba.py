"""The negatives of `count_float32`: grouped by partition as they come, counted at thresholds; by numba.

How many negatives a partition gets is not known before the last pixel, so each thread keeps a list of blocks
for each partition, each block with a link to the one before it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from bench.metrics.ranking.compiled import compiled
from bench.metrics.ranking.keys import key

PARTITIONS = 1 << 16
SHIFT = 8
BLOCK = 1 << SHIFT
LINE = 32
"""Values of 16 bits in a line of the cache."""


class Negatives:
    """The lower key bits of the negatives by partition.

    pixels: how many will come, where that is known, else 0. A thread has its own blocks, and one place to
    write at for each partition (heads); block 0 is no block.
    """

    def __init__(self, threads: int, pixels: int) -> None:
        self._heads = np.zeros((threads, PARTITIONS), np.int64)
        self._blocks = np.zeros((threads, PARTITIONS), np.int64)
        self._used = np.ones((threads, 1), np.int64)
        self._share = 0
        room = blocks_needed(pixels // threads) + BLOCK
        self._before = np.empty((threads, room), np.int64)
        self._low = np.empty((threads, room * BLOCK), np.uint16)

    def make_room(self, pixels: int) -> None:
        """For so many more, shared equally by the threads; room that is not written to takes no memory."""
        threads, room = self._before.shape
        self._share += -(-pixels // threads)
        needed = blocks_needed(self._share)
        if needed <= room:
            return
        before, low, used = self._before, self._low, int(self._used.max())
        self._before = np.empty((threads, 2 * needed), np.int64)
        self._low = np.empty((threads, 2 * needed * BLOCK), np.uint16)
        self._before[:, :used] = before[:, :used]
        self._low[:, : used * BLOCK] = low[:, : used * BLOCK]

    def add(self, thread: int, bits: np.ndarray, mask: np.ndarray) -> None:
        """The negatives of bits uint32 [n], mask uint8 [n]; one call at a time a thread."""
        arrays = (array[thread] for array in (self._heads, self._blocks, self._used, self._before, self._low))
        _scatter(bits, mask, *arrays)

    def finish(self) -> np.ndarray:
        """When all were added: the negatives of each partition, int64 [65536]."""
        present = np.flatnonzero(self._blocks.any(axis=0))
        unfilled = -self._heads[:, present] & (BLOCK - 1)
        self._counts = np.zeros(PARTITIONS, np.int64)
        self._counts[present] = (self._blocks[:, present] * BLOCK - unfilled).sum(axis=0)
        return self._counts

    def count_at(
        self,
        thresholds: np.ndarray,
        firsts: np.ndarray,
        higher: np.ndarray,
        at_least: np.ndarray,
        above: np.ndarray,
    ) -> None:
        """Fills in the negatives at or above, and above, the thresholds of some partitions, integers [T].

        thresholds: distinct keys uint32, descending, of which partition i of the call has
        firsts[i]:firsts[i + 1]; higher int64 [65536]: the negatives of higher partitions.
        """
        lists = self._heads, self._before, self._low
        _count_at(*lists, self._counts, thresholds, firsts, higher, at_least, above)


def blocks_needed(pixels: int) -> int:
    """Upper bound on the blocks that one thread needs for `pixels` negatives.

    The full ones, one partly filled block per partition, and block 0, which is not used.
    """
    return pixels // BLOCK + min(pixels, PARTITIONS) + 1


@intrinsic
def _fetch(context, array, index):  # type: ignore[no-untyped-def]
    """Asks the cache for array[index], without waiting for it."""

    def emit(target, builder, signature, values):  # type: ignore[no-untyped-def]
        structure = target.make_array(array)(target, builder, values[0])
        address = cgutils.get_item_pointer(target, builder, array, structure, [values[1]], wraparound=False)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, number(0), number(3), number(1)])  # to read, to keep, data
        return target.get_dummy_value()

    return types.void(array, types.int64), emit


@compiled()
def _scatter(bits, mask, heads, blocks, used, before, low):  # type: ignore[no-untyped-def]
    block = used[0]
    for i in range(bits.size):
        if mask[i] == 0:
            k = key(bits[i])
            partition = k >> np.uint32(16)
            head = heads[partition]
            if head & (BLOCK - 1) == 0:  # none yet, or the last one is full
                before[block] = max((head >> SHIFT) - 1, 0)
                blocks[partition] += 1
                head = block << SHIFT
                block += 1
                for line in range(LINE, BLOCK, LINE):  # so that no later write waits for its line
                    _fetch(low, head + line)  # type: ignore[call-arg]
            low[head] = np.uint16(k & np.uint32(0xFFFF))
            heads[partition] = head + 1
    used[0] = block


@compiled()
def _count_at(heads, before, low, counts, thresholds, firsts, higher, at_least, above):  # type: ignore[no-untyped-def]
    counters, wide = np.empty(1 << 16, np.uint8), np.empty(1 << 16, np.int64)
    for i in range(firsts.size - 1):
        span = slice(firsts[i], firsts[i + 1])
        p = thresholds[span.start] >> np.uint32(16)
        lists = heads[:, p], before, low
        if counts[p] < 512:  # clearing and walking 65,536 counters would take longer than a sort
            few = np.sort(_values(lists, counts[p]))
            _count_sorted(few, thresholds[span], higher[p], at_least[span], above[span])
        elif _count_values(lists, counters, wide):
            _read_off(wide, thresholds[span], higher[p], at_least[span], above[span])
        else:
            _read_off(counters, thresholds[span], higher[p], at_least[span], above[span])


@compiled()
def _values(lists, count):  # type: ignore[no-untyped-def]
    """The values of one partition, uint16 [count]."""
    heads, before, low = lists
    values, at = np.empty(count, np.uint16), 0
    for thread in range(heads.size):
        block = (heads[thread] - 1) >> SHIFT
        end = heads[thread]
        while block > 0:
            for index in range(block << SHIFT, end):
                values[at] = low[thread, index]
                at += 1
            block = before[thread, block]
            end = (block + 1) << SHIFT
    return values


@compiled()
def _count_sorted(few, positive, higher, at_least, above):  # type: ignore[no-untyped-def]
    """`count_at` of one partition, by its sorted lower bits."""
    i = few.size - 1
    for t in range(positive.size):
        low = np.uint16(positive[t] & np.uint32(0xFFFF))
        while i >= 0 and few[i] > low:
            i -= 1
        above[t] = higher + few.size - 1 - i
        j = i
        while j >= 0 and few[j] == low:
            j -= 1
        at_least[t] = higher + few.size - 1 - j


@compiled()
def _count_values(lists, counters, wide):  # type: ignore[no-untyped-def]
    """Counts the values of one partition, in counters uint8 [65536]; where one of them is too small, in wide
    int64 [65536]. Whether that was so."""
    heads, before, low = lists
    counters[:] = 0
    overflowed = False
    for thread in range(heads.size):
        low_of_thread = low[thread]
        block = (heads[thread] - 1) >> SHIFT
        end = heads[thread]
        while block > 0:
            earlier = before[thread, block]
            for line in range(0, BLOCK, LINE):
                _fetch(low_of_thread, (earlier << SHIFT) + line)  # type: ignore[call-arg]
            for value in low_of_thread[block << SHIFT : end]:
                counted = np.uint8(counters[value] + np.uint8(1))
                counters[value] = counted
                if counted == 0:
                    if not overflowed:
                        wide[:] = 0
                        overflowed = True
                    wide[value] += 256
            block = earlier
            end = (block + 1) << SHIFT
    if overflowed:
        wide += counters
    return overflowed


@compiled()
def _read_off(counters, positive, higher, at_least, above):  # type: ignore[no-untyped-def]
    """`_count_at` of one partition by the counters of its values [65536]."""
    total, behind = higher, np.int64(1 << 16)
    for t in range(positive.size):
        index = np.int64(positive[t] & np.uint32(0xFFFF))
        for value in range(index + 1, behind):
            total += np.int64(counters[np.uint64(value)])
        above[t] = total
        total += np.int64(counters[index])
        at_least[t] = total
        behind = index
