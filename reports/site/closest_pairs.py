"""The generated images that come nearest to real ones, each beside the one that it resembles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.pool import open_pool
from bench.results.run import NearPair
from reports.site.pictures import Album, Picture
from reports.site.tiles import strip, tile

TILE = 128
SHOWN = 4


@dataclass(frozen=True)
class ClosePair:
    category: str
    defect: str
    is_test: bool
    ratio: str
    """Distance over the distance below which an image counts as a copy."""
    picture: Picture


@dataclass(frozen=True)
class CloseRow:
    generator: str
    pairs: tuple[ClosePair, ...]


def closest_pairs(pairs: Sequence[NearPair], album: Album) -> tuple[CloseRow, ...]:
    """For each generator its closest pairs, each generated image once; the lowest seed."""
    rows = []
    for generator in sorted({pair.generator for pair in pairs}):
        of_generator = [pair for pair in pairs if pair.generator == generator]
        first = min(pair.seed for pair in of_generator)
        nearest: dict[tuple[Path, int], NearPair] = {}
        for pair in sorted((pair for pair in of_generator if pair.seed == first), key=_ratio):
            nearest.setdefault(pair.generated, pair)
        rows.append(
            CloseRow(generator, tuple(_shown(pair, album) for pair in list(nearest.values())[:SHOWN]))
        )
    return tuple(rows)


def _ratio(pair: NearPair) -> float:
    return pair.distance / pair.copy_distance if pair.copy_distance > 0 else np.inf


def _shown(pair: NearPair, album: Album) -> ClosePair:
    tiles = [tile(open_pool(pool).images[row], TILE) for pool, row in (pair.generated, pair.real)]
    side = "test" if pair.is_test else "training"
    alt = f"an image of {pair.generator} beside the {side} image that it resembles most"
    return ClosePair(
        pair.category, pair.defect, pair.is_test, f"{_ratio(pair):.2f}", album.add(strip(tiles), alt)
    )
