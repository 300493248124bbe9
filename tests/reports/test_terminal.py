"""The table at the end of a run."""

import io

from rich.console import Console

from reports.files.terminal import print_leaderboard


def printed(results, **options):
    out = io.StringIO()
    print_leaderboard(results, Console(file=out, width=140, **options))
    return out.getvalue()


def test_means_findings_and_failures_are_printed(results):
    text = printed(results)
    assert "strong" in text
    assert "real third only" in text
    assert "1 of 3 rows beat" in text
    assert "1 cells failed: loss is not finite" in text


def test_output_that_is_no_terminal_is_plain_text(results):
    assert "\x1b[" not in printed(results)
    assert "\x1b[" in printed(results, force_terminal=True)


def test_names_with_markup_are_printed_as_they_are(board):
    from bench.results.run import Results

    board.add(value=0.5, generator="[bold red]x[/]")
    results = Results("p", "smoke", "d", tuple(board.records), board.replicates, {})
    assert "[bold red]x[/]" in printed(results)
