"""The commands that show results: report, export, compare, gate, samples. Bodies import what they need."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.options import DEFAULT_STORE, StoreOption


def report(
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[Path | None, typer.Option(help="Folder of the site [default: STORE/report].")] = None,
) -> None:
    """Write the site of a store: static pages of every protocol that was run."""
    from bench.cli.outputs import report_command

    raise typer.Exit(report_command(store, out))


def export(
    out: Annotated[Path, typer.Argument(help="File to write: .csv, .parquet, .json, .md or .tex.")],
    table: Annotated[
        Literal["records", "leaderboard"], typer.Option(help="What .csv, .parquet and .json hold.")
    ] = "records",
    published: Annotated[bool, typer.Option("--published", help="Add what papers printed.")] = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write the records of the last run, or its leaderboard with intervals and gains (always in md, tex)."""
    from bench.cli.outputs import export_command

    raise typer.Exit(export_command(store, out, table, published))


def compare(
    first: Annotated[str, typer.Argument(help="A store, STORE@RUN, or a run of --store.")],
    second: Annotated[str, typer.Argument(help="Likewise.")],
    categories: Annotated[bool, typer.Option("--categories", help="Show every category too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Compare two stores or two runs cell by cell, with paired intervals, or say why they cannot be."""
    from bench.cli.compare import compare_command

    raise typer.Exit(compare_command(first, second, store, categories, as_json))


def gate(
    baseline: Annotated[Path, typer.Option(help="The baseline file, TOML; --update writes it.")],
    update: Annotated[
        bool, typer.Option("--update", help="Take the values of the last run in as the baseline.")
    ] = False,
    reason: Annotated[str, typer.Option(help="With --update: why the numbers may change.")] = "",
    speed: Annotated[
        Path | None, typer.Option(help="Result of `pytest --benchmark-json`, to gate speed as well.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File for all verdicts as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="File for all verdicts as JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for a summary in Markdown.")] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Check the last run against a baseline: exit code 0 unchanged, 1 moved or failed, 2 undecided."""
    from bench.cli.gate import Outputs, gate_command

    code = gate_command(
        baseline, store, update=update, reason=reason, speed=speed, outputs=Outputs(json, junit, markdown)
    )
    raise typer.Exit(code)


def samples_extract(
    out: Annotated[Path, typer.Argument(help="Folder to write, in MVTec AD layout.")],
    generator: Annotated[str, typer.Option(help="Name of the generator.")],
    seed: Annotated[int, typer.Option()] = 0,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write the generated images of the last run as a folder of PNGs."""
    from bench.cli.outputs import extract_command

    extract_command(store, generator, seed, out)
