"""Published numbers beside measured ones: each gap with the reasons for it, and what papers print at all."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reports.site.filters import choices
from reports.site.published_rows import gap_lines, tables_of
from reports.site.run_board import Page, RunBoard


def pages(run: RunBoard) -> Iterator[Page]:
    yield Page("published.html", "published.html", partial(_context, run))


def _context(run: RunBoard) -> Mapping[str, Any]:
    published = run.results.published
    lines = gap_lines(published, run.all_dialects, run.scored) if published else ()
    return {
        "lines": lines,
        "tables": tables_of(published),
        "choices": choices(
            dataset=[line.dataset for line in lines],
            detector=[line.detector for line in lines],
            metric=[line.short for line in lines],
        ),
    }
