"""Detector maps: for each detector and category the test images where its maps fit the truth best and worst.

Cases are the same for all rows, so that their maps can be compared: the defective images with the highest and
the lowest average precision of their own pixels, averaged over rows, and the normal image with the highest
score. Colours of one row in one category share one scale, from its 1st to its 99.9th percentile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.results.run import Maps
from reports.board.identity import mix_position
from reports.site.pictures import Album, Picture
from reports.site.tiles import heat, outline, strip, tile, with_outline

TILE = 112
BEST, WORST = 2, 2
SIDE = 96
"""Maps are read at about this size to choose cases; a choice needs no more."""


@dataclass(frozen=True)
class CaseColumn:
    generator: str
    mix: str
    picture: Picture


@dataclass(frozen=True)
class Cases:
    detector: str
    category: str
    names: tuple[str, ...]
    """What each case is: best or worst, its defect, its mean average precision."""
    truth: Picture
    columns: tuple[CaseColumn, ...]


def map_cases(maps: Sequence[Maps], album: Album) -> tuple[Cases, ...]:
    """Cases of every detector and category, from the lowest seed."""

    def place(maps_of_row: Maps) -> tuple[str, str]:
        return maps_of_row.detector, maps_of_row.category

    ordered = sorted(
        (maps_of_row for maps_of_row in maps if (maps_of_row.prediction / "amaps.npy").exists()),
        key=lambda maps_of_row: (
            *place(maps_of_row),
            maps_of_row.seed,
            mix_position(maps_of_row.mix),
            maps_of_row.generator,
        ),
    )
    cases_of_all = []
    for (detector, category), group in groupby(ordered, key=place):
        members = list(group)
        members = [
            maps_of_row
            for maps_of_row in members
            if (maps_of_row.seed, maps_of_row.pool) == (members[0].seed, members[0].pool)
        ]
        cases = _cases(detector, category, members, album)
        if cases is not None:
            cases_of_all.append(cases)
    return tuple(cases_of_all)


def _cases(detector: str, category: str, members: Sequence[Maps], album: Album) -> Cases | None:
    pool = open_pool(members[0].pool)
    arrays = [np.load(maps.prediction / "amaps.npy", mmap_mode="r", allow_pickle=False) for maps in members]
    step = max(1, arrays[0].shape[1] // SIDE)
    small = [np.asarray(amaps[:, ::step, ::step], dtype=np.float32) for amaps in arrays]
    chosen = _choose(pool, small, step)
    if not chosen:
        return None
    names = tuple(name for _, name in chosen)
    lines = {row: outline(pool.mask(row), TILE) for row, _ in chosen}
    pictures = [with_outline(tile(pool.images[row], TILE), *lines[row]) for row in lines]
    alt = f"{len(lines)} test images of {category}; defect outlined"
    truth = album.add(strip(pictures, vertical=True), alt)
    columns = []
    for maps, amaps, thinned in zip(members, arrays, small, strict=True):
        low, high = (float(value) for value in np.percentile(thinned, [1, 99.9]))
        tiles = [with_outline(heat(np.asarray(amaps[row]), low, high, TILE), *lines[row]) for row in lines]
        alt = f"maps of {detector} trained on {maps.generator} ({maps.mix}) for the same images of {category}"
        columns.append(CaseColumn(maps.generator, maps.mix, album.add(strip(tiles, vertical=True), alt)))
    return Cases(detector, category, names, truth, tuple(columns))


def _choose(pool: Pool, small: Sequence[np.ndarray], step: int) -> list[tuple[int, str]]:
    """Rows of the pool and what each is, best first, from every `step`th pixel of the maps."""
    masks = [pool.mask(row) for row in range(len(pool))]
    # A thin defect can fall between the pixels that are read; such images are left out of the choice.
    truth = {row: mask[::step, ::step] for row, mask in enumerate(masks) if mask[::step, ::step].any()}
    precision = {
        row: float(np.mean([_average_precision(amaps[row], mask) for amaps in small]))
        for row, mask in truth.items()
    }
    ordered = sorted(precision, key=lambda row: (-precision[row], row))
    best = ordered[:BEST]
    worst = [row for row in ordered[-WORST:] if row not in best]
    chosen = [(row, "best") for row in best] + [(row, "worst") for row in worst]
    titled = [
        (row, f"{word}: {pool.items[row]['defect']}, AP {precision[row] * 100:.0f}%") for row, word in chosen
    ]
    normal = [row for row, mask in enumerate(masks) if not mask.any()]
    if normal:
        # Maps of different detectors have different units; each is measured in its own spread.
        loudness = [amaps.max(axis=(1, 2)) / max(float(amaps.std()), 1e-12) for amaps in small]
        loudest = max(normal, key=lambda row: (sum(float(values[row]) for values in loudness), -row))
        titled.append((loudest, "normal image with the highest score"))
    return titled


def _average_precision(amap: np.ndarray, mask: np.ndarray) -> float:
    """Average precision of one image's pixels; ties in the order of pixels: enough to choose cases."""
    ordered, inside = np.sort(amap, axis=None), amap[mask]
    below, not_above = (np.searchsorted(ordered, inside, side) for side in ("left", "right"))
    if (not_above - below == 1).all() and not np.isnan(ordered[-1]):
        places = np.sort(ordered.size - below)
    else:
        order = np.argsort(-amap.ravel(), kind="stable")
        places = np.flatnonzero(mask.ravel()[order]) + 1
    return float((np.arange(1, places.size + 1) / places).mean())
