"""The gallery: samples of every set, generated images beside the real ones they come nearest to, and maps."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reports.site.closest_pairs import closest_pairs
from reports.site.filters import choices
from reports.site.map_cases import map_cases
from reports.site.run_board import Page, RunBoard
from reports.site.sample_grids import sample_grids


def pages(run: RunBoard) -> Iterator[Page]:
    if run.results.galleries or run.results.maps:
        yield Page("gallery.html", "gallery.html", partial(_context, run))


def _context(run: RunBoard) -> Mapping[str, Any]:
    results, album = run.results, run.album
    return {
        "grids": sample_grids(results.galleries, album, run.records),
        "closest": closest_pairs(results.near_pairs, album),
        "cases": map_cases(results.maps, album),
        "choices": choices(
            category=[
                *(gallery.category for gallery in results.galleries),
                *(maps.category for maps in results.maps),
            ],
            generator=[gallery.generator for gallery in results.galleries if gallery.generator != "real"],
            detector=[maps.detector for maps in results.maps],
        ),
    }
