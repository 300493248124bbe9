"""Greedy coreset selection: the point farthest from the points chosen so far, again and again.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, algorithm 1 (the
k-center greedy of Sener & Savarese). A plain loop reads every point for every choice. Distances to the chosen
points only shrink, so an old distance bounds the present one from above: only the points with the largest
bounds are brought up to date, in blocks, by matrix products, and choices are made inside a block as long as
its farthest point is farther than every bound outside. The choices are those of the plain loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from detectors.patchcore.neighbours import nearest_of, new_tile

BLOCK, TILE_POINTS = 2048, 256


@dataclass
class Selection:
    """How far a selection is. `bounds` float64 [N]: squared distances to the first `covered[i]` chosen points
    (or the starting value, where that is less); `chosen` int64 [M], of which the first `count` are made."""

    bounds: np.ndarray
    covered: np.ndarray
    chosen: np.ndarray
    count: int = 0


def begin(bounds: np.ndarray, size: int) -> Selection:
    """A selection of `size` points that has chosen none; `bounds` are squared distances to start from."""
    return Selection(
        np.array(bounds, np.float64), np.zeros(len(bounds), np.int32), np.full(size, -1, np.int64)
    )


def begin_at(first: int, points: int, size: int) -> Selection:
    """A selection whose first choice is the point `first`, as anomalib draws it."""
    selection = begin(np.full(points, np.inf), size)
    selection.chosen[0], selection.count, selection.bounds[first] = first, 1, 0.0
    selection.covered[first] = 1
    return selection


def mean_distances(features: Tensor, starts: np.ndarray) -> np.ndarray:
    """Squares of the mean distance of each point to the points `starts`, float64 [N]: the starting values of
    the released code, which are not true bounds of anything but are compared with distances all the same."""
    anchors = features[torch.from_numpy(starts).to(features.device)].double()
    parts = [
        torch.cdist(part.double(), anchors, compute_mode="donot_use_mm_for_euclid_dist").mean(dim=1)
        for part in features.split(8192)
    ]
    return torch.cat(parts).square().cpu().numpy()


def select(
    features: Tensor, selection: Selection, progress: Callable[[int, int], None] = lambda done, total: None
) -> np.ndarray:
    """Complete `selection` (in place) over `features` float32 (N, D), on any device; int64 [M], in order.

    Fewer than M are returned where every other point coincides with a chosen one. `progress(done, total)` is
    called once a block; an exception that it raises leaves `selection` whole, to be continued.
    """
    state, points = selection, len(selection.bounds)
    centres = _Centres(features, len(state.chosen))
    centres.add(state.chosen[: state.count])
    block = min(BLOCK, points)
    while state.count < len(state.chosen):
        rows, outside = _top(state.bounds, block)
        stale = _refresh(centres, state, rows)
        block_bounds = state.bounds[rows]
        if block_bounds.max() <= 0 and outside <= 0:
            break
        members = centres.points(rows).cpu().numpy()
        # Ties with what stands outside wait until a block holds nothing to refresh: it is the farthest then.
        floor = outside if stale or block_bounds.max() > outside else np.nextafter(outside, -np.inf)
        picked, covered = _inside(members, block_bounds, floor, len(state.chosen) - state.count, state.count)
        before = state.count
        state.chosen[before : before + len(picked)] = rows[picked]
        state.bounds[rows], state.covered[rows] = block_bounds, covered
        state.count += len(picked)
        centres.add(state.chosen[before : state.count])
        if len(picked):
            progress(state.count, len(state.chosen))
    return state.chosen[: state.count]


def _top(bounds: np.ndarray, block: int) -> tuple[np.ndarray, float]:
    """The rows of the `block` largest bounds, ascending, and the largest of the others."""
    if block == len(bounds):
        return np.arange(block), -np.inf
    order = np.argpartition(-bounds, block)
    return np.sort(order[:block]), float(bounds[order[block]])


class _Centres:
    """The chosen points, ready to be searched for the nearest of a point."""

    def __init__(self, features: Tensor, size: int) -> None:
        self.features = features
        self.middle = features.mean(dim=0)
        self.vectors = features.new_empty((size, features.shape[1]))
        self.halves = features.new_empty(size)
        self.count = 0
        self._tile = new_tile(TILE_POINTS)

    def points(self, rows: np.ndarray) -> Tensor:
        return self.features[torch.from_numpy(rows).to(self.features.device)]

    def add(self, rows: np.ndarray) -> None:
        end = self.count + len(rows)
        self.vectors[self.count : end] = self.points(rows) - self.middle
        self.halves[self.count : end] = self.vectors[self.count : end].square().sum(dim=1) / 2
        self.count = end

    def nearest(self, points: Tensor, since: int) -> np.ndarray:
        """The number, from `since` on, of the centre nearest to each of at most 256 points, int64."""
        new = slice(since, self.count)
        return since + nearest_of(points - self.middle, self.vectors[new], self.halves[new], self._tile)


def _refresh(centres: _Centres, state: Selection, rows: np.ndarray) -> bool:
    """Bring the bounds of `rows` up to date with all chosen points; false if they were.

    The nearest of the new centres is found by a product in single precision; the bound is then the distance
    to it, taken directly in double precision, so that no cancellation enters a comparison.
    """
    behind = rows[state.covered[rows] < state.count]
    if not len(behind):
        return False
    behind = behind[np.argsort(state.covered[behind], kind="stable")]
    for start in range(0, len(behind), TILE_POINTS):
        tile = behind[start : start + TILE_POINTS]
        points = centres.points(tile)
        to = centres.points(state.chosen[centres.nearest(points, int(state.covered[tile[0]]))])
        exact = (points.double() - to.double()).square().sum(dim=1).cpu().numpy()
        state.bounds[tile] = np.minimum(state.bounds[tile], exact)
        state.covered[tile] = state.count
    return True


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def _squared(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for k in range(a.shape[0]):
        gap = np.float64(a[k]) - np.float64(b[k])
        total += gap * gap
    return total


@numba.njit(cache=True)
def _inside(
    members: np.ndarray, bounds: np.ndarray, floor: float, limit: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose members of the block greedily while the farthest is beyond `floor`.

    Returns the choices in order, and how many chosen points each member's bound (changed in place) takes in;
    a member that falls to `floor` cannot be chosen in this block and is not followed further.
    """
    size = len(members)
    alive = np.empty(size, np.int64)
    covered = np.full(size, count, np.int32)
    count_alive, farthest = 0, -1
    for row in range(size):
        if bounds[row] > floor:
            alive[count_alive] = row
            count_alive += 1
            if farthest < 0 or bounds[row] > bounds[farthest]:
                farthest = row
    picked = np.empty(min(limit, size), np.int64)
    count_picked = 0
    while farthest >= 0 and count_picked < limit and bounds[farthest] > 0.0:
        picked[count_picked] = farthest
        count_picked += 1
        last, farthest, survivors = farthest, -1, 0
        for at in range(count_alive):
            row = alive[at]
            gap = _squared(members[row], members[last])
            if gap < bounds[row]:
                bounds[row] = gap
            covered[row] = count + count_picked
            if bounds[row] > floor:
                alive[survivors] = row
                survivors += 1
                if farthest < 0 or bounds[row] > bounds[farthest]:
                    farthest = row
        count_alive = survivors
    return picked[:count_picked], covered
