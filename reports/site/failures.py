"""The cells without a number, each with its reason."""

from collections.abc import Iterator

from reports.site.run_board import Page, RunBoard


def pages(run: RunBoard) -> Iterator[Page]:
    yield Page("failures.html", "failures.html", lambda: {"gaps": run.gaps})
