"""What each method cost here, and what papers say of cost."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reports.board.costs import cost_table, per_image, published_costs
from reports.site.filters import choices
from reports.site.run_board import Page, RunBoard


def pages(run: RunBoard) -> Iterator[Page]:
    yield Page("cost.html", "cost.html", partial(_context, run))


def _context(run: RunBoard) -> Mapping[str, Any]:
    costs = cost_table(run.records)
    return {
        "costs": costs,
        "each_image": per_image(run.records),
        "published_costs": published_costs(run.results.published),
        "choices": choices(
            generator=[line.generator for line in costs.lines],
            detector=[line.detector for line in costs.lines],
        ),
    }
