"""The commands on data sets and on papers. Bodies import what they need when they run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.options import AllOption, JsonOption, parse_names


def data_check(
    folder: Annotated[Path, typer.Argument(help="A data set in MVTec AD layout.")],
    resolution: Annotated[int, typer.Option(min=16, help="Side in pixels at which a run reads it.")] = 256,
    all_warnings: AllOption = False,
) -> None:
    """Decode every file and list all problems at once; exit code 1 if a run would stop on one.

    Warns of what a file says and is not read: pages, bits, transparency, colours, classes of masks.
    """
    from bench.cli.data import check_command

    raise typer.Exit(check_command(folder, resolution, all_warnings))


def data_list(folder: Annotated[Path, typer.Argument(help="A data set in MVTec AD layout.")]) -> None:
    """Count images by category and defect type, and how the first-third split divides them."""
    from bench.cli.data import list_command

    list_command(folder)


def data_make_sample(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int, typer.Option(help="Side of the images in pixels.")] = 256,
    train: Annotated[int, typer.Option(help="Normal training images per category.")] = 60,
    test_good: Annotated[int, typer.Option(help="Normal test images per category.")] = 16,
    per_defect: Annotated[int, typer.Option(help="Images per defect type.")] = 12,
    layout: Annotated[Literal["mvtec", "mvtec3d"], typer.Option()] = "mvtec",
    categories: Annotated[str | None, typer.Option(help="Names with commas [default: all].")] = None,
) -> None:
    """Render the sample data set, with as many images of any size as you like."""
    from bench.cli.data import make_sample_command

    make_sample_command(
        out, parse_names(categories), seed=seed, size=size, train=train, test_good=test_good,
        per_defect=per_defect, layout=layout,
    )  # fmt: skip


def published_list(as_json: JsonOption = False) -> None:
    """List the papers and their tables."""
    from bench.cli.published import list_command

    list_command(as_json)


def published_show(
    paper: Annotated[str, typer.Argument(help="Name of a paper, as `bench published list` shows it.")],
    table: Annotated[str | None, typer.Argument(help="Number of a table [default: all].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a table as printed, with what is known of its protocol."""
    from bench.cli.published import show_command

    show_command(paper, table, as_json)


def published_audit(
    paper: Annotated[str | None, typer.Argument(help="Name of a paper [default: all].")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every finding of a method.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute means, check tables against each other, and list every contradiction."""
    from bench.cli.published import audit_command

    audit_command(paper, everything, as_json)


def published_disagreements(
    name: Annotated[str | None, typer.Argument(help="D31, or 31 [default: all].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say where papers and repositories disagree, and which option covers it; notes cite these by number."""
    from bench.cli.published import disagreements_command

    disagreements_command(name, as_json)
