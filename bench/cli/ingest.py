"""`bench ingest`: take in what was made elsewhere."""

from pathlib import Path
from typing import Any

from bench import api
from bench.cli.progress import terminal_view
from bench.errors import BenchError


def ingest_command(source: Path, data: Path | None, **options: Any) -> None:
    """Take in a folder, and print how to run it."""
    if data is None:
        raise BenchError("--data DIR is missing: the data set for which this was made")
    taken_in = api.ingest(source, data=data, view=terminal_view(), **options)
    print(
        f"ingested as {taken_in.name}: bench run --protocol mvtec_supervised --data {data} "
        f"--{taken_in.kind}s {taken_in.name}"
    )
