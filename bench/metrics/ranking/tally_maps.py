"""From maps and masks to a `Tally`: the positives are sorted, the negatives only counted.

`count_float32` does that for float32 scores, by numba or numpy. Here is how float64 scores are counted:
one pass keeps the positive scores (1 to 5 % of the pixels) with the weight 1/|region| of each, and the
best IoU of each anomalous image on its own. A second pass counts, for every distinct positive score, the
negatives at or above it. Counts of chunks add up, so a memory map needs one chunk in memory at a time;
an iterator that can be read only once needs its negatives kept (8 bytes a pixel).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.regions import region_weights
from bench.metrics.ranking.tally import Tally, require_both_classes
from bench.parallel import in_order

VALUES_A_SORT = 1 << 23


@dataclass(frozen=True)
class MapTally:
    """What all pixel metrics are computed from."""

    tally: Tally
    """With region overlap."""
    regions: int
    """The number of ground-truth regions."""
    best_iou: np.ndarray
    """float64: the best IoU of each anomalous image over its own thresholds; empty if nobody asked."""


def tally_float64(chunks: MapChunks, per_image: bool) -> MapTally:
    """Counts of float64 maps, by sorts."""
    scores: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    best_iou: list[float] = []
    negative_parts: list[np.ndarray] = []
    regions = negatives = 0

    def of_image(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, int, float]:
        amap, mask = pair
        weight, count = region_weights(mask)
        return amap[mask], weight, count, largest_iou(amap, mask) if count and per_image else 0.0

    for maps, masks in chunks:
        negatives += masks.size - int(np.count_nonzero(masks))
        if not chunks.rereadable:
            negative_parts.append(maps[~masks])
        for score, weight, count, best in in_order(of_image, zip(maps, masks, strict=True)):
            if not count:
                continue
            scores.append(score)
            weights.append(weight)
            regions += count
            if per_image:
                best_iou.append(best)
    positives = sum(len(part) for part in scores)
    require_both_classes(positives, negatives, "masks")
    distinct_scores, counts, overlap = distinct_positives(
        np.concatenate(scores), np.concatenate(weights), regions
    )
    pieces = negative_parts if not chunks.rereadable else (maps[~masks] for maps, masks in chunks)
    at_least, above = count_negatives(pieces, distinct_scores[::-1])
    tally = Tally(
        distinct_scores, np.cumsum(counts), at_least[::-1], above[::-1], positives, negatives, overlap
    )
    return MapTally(tally, regions, np.array(best_iou))


def distinct_positives(
    scores: np.ndarray, weights: np.ndarray, regions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distinct scores, highest first; how often each occurs; mean region overlap down to each), all [T]."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    overlap = np.cumsum(weights[order])[last] / regions
    overlap[-1] = 1.0  # every region is covered at the lowest positive score; the sum is 1 up to rounding
    return ranked[last], np.diff(last, prepend=-1), np.minimum(overlap, 1.0)


def count_negatives(pieces: Iterable[np.ndarray], ascending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(negatives at or above, negatives above) each threshold, int64 [T]; thresholds ascending."""
    at_least = np.zeros(ascending.size, np.int64)
    above = np.zeros(ascending.size, np.int64)

    def of_batch(reached: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reached.sort()
        first = np.searchsorted(reached, ascending, side="left")
        # behind the last score of a tie; without a tie both places are one, and most scores have none
        behind = first.copy()
        tied = np.flatnonzero(reached[np.minimum(first, reached.size - 1)] == ascending)
        behind[tied] = np.searchsorted(reached, ascending[tied], side="right")
        return reached.size - first, reached.size - behind

    batches = _batches(piece[piece >= ascending[0]] for piece in pieces)
    for first, behind in in_order(of_batch, batches, ahead=1):
        at_least += first
        above += behind
    return at_least, above


def _batches(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """All values in batches: each costs a search of every threshold, so few and large."""
    waiting: list[np.ndarray] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= VALUES_A_SORT:
            yield np.concatenate(waiting)
            waiting = []
    if any(map(len, waiting)):
        yield np.concatenate(waiting)


def largest_iou(amap: np.ndarray, mask: np.ndarray) -> float:
    """The best IoU of one map [H, W] with its mask over the thresholds of its own scores, 0..1."""
    positive = np.sort(amap[mask])
    reached = np.sort(amap[(amap >= positive[0]) & ~mask])
    tp = positive.size - np.searchsorted(positive, positive, side="left")
    fp = reached.size - np.searchsorted(reached, positive, side="left")
    return float((tp / (positive.size + fp)).max())
