"""The table at the end of a run."""

import io

from rich.console import Console

from bench.results.run import Results
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
    board.add(value=0.5, generator="[bold red]x[/]")
    results = Results("p", "smoke", "d", tuple(board.records), board.replicates, {})
    assert "[bold red]x[/]" in printed(results)


def test_a_detector_without_maps_is_shown_by_its_image_scores(board):
    facts = {
        "mix": "unknown",
        "scope": "unknown",
        "generator": "none",
        "detector": "mine",
        "unit": "fraction",
    }
    board.add(**facts, level="pixel", metric="ap", status="skipped", note="the detector gives no anomaly map")
    board.add(**facts, level="image", metric="auroc", value=0.875)
    text = printed(Results("p", "smoke", "d", tuple(board.records), board.replicates, {}))
    assert "mine image AUROC" in text
    assert "87.5" in text
    assert "mine, none: training set and scope of a model are unknown, so it has no rank and no gain" in text
    assert "pixel AP" not in text
