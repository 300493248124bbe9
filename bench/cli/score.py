"""`bench score`: metrics of a folder of images, or of anomaly maps, with no protocol around them."""

from pathlib import Path
from typing import Any

from bench import api
from bench.cli.outputs import check_export, format_of
from bench.cli.progress import terminal_view
from bench.methods import registry


def score_command(images: Path | None, against: Path, *, out: Path | None, **options: Any) -> int:
    """Score, print, and write the records to `out` if it is given. Exit code 1 if a category failed."""
    if out is not None:
        check_export(out)
    result = api.score(images, against=against, view=terminal_view(), **options)
    results = result.results()
    registry.load_page("terminal")(results)
    if out is not None:
        print(registry.load_page("export")(results.records, out, format_of(out), results.replicates))
    return 0 if result.ok else 1
