"""Options that several commands share, each said once, and how their texts are read."""

import re
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import BenchError

StoreOption = Annotated[
    Path, typer.Option("--store", envvar="DEFECTBENCH_STORE", help="Folder of everything that was made.")
]
DEFAULT_STORE = Path("bench-store")
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar="DEFECTBENCH_DATA", help="Data set in MVTec AD layout [default: built in]."
    ),
]
PluginOption = Annotated[list[Path] | None, typer.Option(help="A Python file with adapters of your own.")]
WeightsOption = Annotated[
    Path | None, typer.Option(envvar="DEFECTBENCH_WEIGHTS", help="Folder of local weight files.")
]
_SHOWN_ALONE = "what is unknown keeps its values apart from all others"
MixOption = Annotated[
    str,
    typer.Option(
        "--mix", help=f"What the detector was trained on (real, generated+real ...); {_SHOWN_ALONE}."
    ),
]
ScopeOption = Annotated[
    str, typer.Option("--scope", help="What one model of it covers: category or dataset.")
]
SelectionOption = Annotated[
    str, typer.Option("--selection", help="Which checkpoint was kept: last, validation, test-oracle ...")
]
GeneratedOption = Annotated[
    int | None,
    typer.Option("--generated-per-type", min=1, help="Generated images per defect type it was trained on."),
]
UNSTATED = "unknown"
AllOption = Annotated[
    bool, typer.Option("--all", help="Print each warning, not one line per kind and folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_MOST_SEEDS = 1000


def parse_names(text: str | None) -> tuple[str, ...] | None:
    """ "a,b[released]" to names; a comma within brackets separates nothing."""
    if text is None:
        return None
    names = tuple(part.strip() for part in re.split(r",(?![^\[\]]*\])", text) if part.strip())
    if not names:
        raise BenchError("an empty list of names was given; leave the option out for the protocol's own")
    return names


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """ "0-2" or "0,3" to numbers."""
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise BenchError(f"--seeds {text!r} is not a list of seeds; write 0, 0-2 or 0,1,5")
        first, last = int(match[1]), int(match[2] or match[1])
        if len(seeds) + last - first >= _MOST_SEEDS:
            raise BenchError(f"--seeds {text!r} is more than {_MOST_SEEDS} seeds; name fewer")
        seeds += range(first, last + 1)
    return tuple(dict.fromkeys(seeds))
