"""Sample grids: the real third beside what each generator made of it, a strip of a few images each."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.data.pool import Pool, open_pool
from bench.record.record import Record
from bench.results.run import Gallery
from reports.board.glossary import metric_title, number
from reports.board.identity import Column
from reports.site.pictures import Album, Picture
from reports.site.tiles import outlined, strip, tile

TILE = 128
SHOWN = 5


@dataclass(frozen=True)
class Strip:
    source: str
    """A generator, or "real" for the real third."""
    is_real: bool
    picture: Picture
    count: int
    of: int
    """Images of this defect that there are."""
    fit: str
    """How well the masks of all of them lie on what was changed; "" where that was not measured."""


@dataclass(frozen=True)
class SampleGrid:
    category: str
    defect: str
    strips: tuple[Strip, ...]


def sample_grids(
    galleries: Sequence[Gallery], album: Album, records: Iterable[Record] = ()
) -> tuple[SampleGrid, ...]:
    """One grid a category and defect, the real third first; the lowest seed of each generator. `records` tell
    how well masks fit."""
    fits = {
        (gallery.category, gallery.defect, gallery.generator, gallery.seed): _fit(gallery)
        for gallery in records
        if gallery.metric == "mask_agreement" and gallery.value is not None
    }

    def place(gallery: Gallery) -> tuple[str, str]:
        return gallery.category, gallery.defect

    ordered = sorted(
        galleries,
        # Types first, then what has none.
        key=lambda gallery: (
            gallery.category,
            gallery.defect in ("any", "good"),
            gallery.defect,
            gallery.generator != "real",
            gallery.generator,
            gallery.seed,
        ),
    )
    opened = functools.lru_cache(maxsize=64)(open_pool)  # one holds all types of a category
    grids = []
    for (category, defect), members in groupby(ordered, key=place):
        first: dict[str, Gallery] = {}
        for gallery in members:
            if gallery.rows:
                first.setdefault(gallery.generator, gallery)
        strips = tuple(_strip(gallery, opened(gallery.pool), fits, album) for gallery in first.values())
        if strips:
            grids.append(SampleGrid(category, defect, strips))
    return tuple(grids)


def _fit(record: Record) -> str:
    return f"{metric_title(record.metric)} {number(Column.of(record), record.value or 0.0, 0)}%"


def _strip(
    gallery: Gallery, pool: Pool, fits: Mapping[tuple[str, str, str, int], str], album: Album
) -> Strip:
    rows = gallery.rows[:SHOWN]
    tiles = []
    for row in rows:
        picture, mask = tile(pool.images[row], TILE), pool.mask(row)
        tiles.append(outlined(picture, mask) if mask.any() else picture)
    is_real = gallery.generator == "real"
    maker = "the real third" if is_real else gallery.generator
    alt = f"{len(rows)} images of {gallery.category}, {gallery.defect}, from {maker}; defect outlined"
    return Strip(
        gallery.generator,
        is_real,
        album.add(strip(tiles), alt),
        len(rows),
        len(pool.rows(gallery.defect)),
        fits.get((gallery.category, gallery.defect, gallery.generator, gallery.seed), ""),
    )
