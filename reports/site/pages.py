"""The pages of one leaderboard: one module per kind of page, in the order of the navigation."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.board.identity import baseline_name, plain_rows
from reports.site import (
    by_category,
    cost,
    curves,
    failures,
    gallery,
    leaderboard,
    provenance,
    published,
    sensitivity,
)
from reports.site.run_board import Page, RunBoard, SiblingPage


@dataclass(frozen=True)
class PageKind:
    """A kind of page; a run without anything to show on it has none."""

    key: str
    title: str
    pages: Callable[[RunBoard], Iterable[Page]]


KINDS = (
    PageKind("leaderboard", "Leaderboard", leaderboard.pages),
    PageKind("categories", "By category", by_category.pages),
    PageKind("gallery", "Gallery", gallery.pages),
    PageKind("curves", "Curves", curves.pages),
    PageKind("sensitivity", "Sensitivity", sensitivity.pages),
    PageKind("published", "Published", published.pages),
    PageKind("cost", "Cost", cost.pages),
    PageKind("failures", "Without a number", failures.pages),
    PageKind("reproduce", "Provenance", provenance.pages),
)


@dataclass(frozen=True)
class PageLink:
    """The first page of a kind in the navigation, or the page that is shown."""

    file: str
    title: str
    key: str
    count: int = 0
    """Shown behind the title unless 0."""


def links(run: RunBoard) -> tuple[PageLink, ...]:
    """The navigation of a run."""
    counts = {"failures": sum(gap.cells for gap in run.gaps)}
    first = ((kind, next(iter(kind.pages(run)), None)) for kind in KINDS)
    return tuple(
        PageLink(page.file, kind.title, kind.key, counts.get(kind.key, 0)) for kind, page in first if page
    )


def templates(run: RunBoard, others: Sequence[SiblingPage]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(file, template, context) of every page; `others` are the leaderboards of the same protocol."""
    common = {
        "root": "../",
        "results": run.results,
        "pages": links(run),
        "others": others,
        "categories": run.board.categories,
        "seeds": run.board.seeds,
        "measured": run.measured,
        "total": len(run.records),
        "plain_rows": {"real": baseline_name(run.records), **plain_rows()},
        "choices": (),
    }
    for kind in KINDS:
        for page in kind.pages(run):
            link = PageLink(page.file, kind.title, kind.key)
            yield page.file, page.template, {**common, "page": link, **page.context()}
