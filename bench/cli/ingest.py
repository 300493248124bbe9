"""`bench ingest`: take in what was made elsewhere."""

import shlex
from pathlib import Path
from typing import Any

from bench import api
from bench.cli.options import DEFAULT_STORE
from bench.cli.progress import terminal_view
from bench.errors import BenchError


def ingest_command(source: Path, data: Path | None, **options: Any) -> None:
    """Take in a folder, and print how to run it."""
    if data is None:
        raise BenchError("--data DIR is missing: the data set for which this was made")
    taken_in = api.ingest(source, data=data, view=terminal_view(), **options)
    words = ["bench", "run", "--protocol", "mvtec_supervised", "--data", str(data)]
    words += [f"--{taken_in.kind}s", taken_in.name]
    if options.get("split"):
        words += ["--split", options["split"]]
    if options.get("seed"):
        words += ["--seeds", str(options["seed"])]
    if options["store"] != DEFAULT_STORE:
        words += ["--store", str(options["store"])]
    print(f"ingested as {taken_in.name}: {shlex.join(words)}")
