"""The commands on methods, tasks and stores. Bodies import what they need when they run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.options import DEFAULT_STORE, PluginOption, StoreOption, WeightsOption, parse_names


def list_(
    kind: Annotated[Literal["all", "generators", "detectors", "protocols"], typer.Argument()] = "all",
    plugin: PluginOption = None,
) -> None:
    """List generators, detectors and protocols."""
    from bench.cli.inspect import list_command

    list_command(kind, plugin or [])


def show(
    name: Annotated[str, typer.Argument(help="A generator, detector, protocol, or the key of a task.")],
    store: StoreOption = DEFAULT_STORE,
    plugin: PluginOption = None,
) -> None:
    """Show a method with its parameters and presets, a protocol, or a task."""
    from bench.cli.inspect import show_command

    show_command(name, store, plugin or [])


def status(store: StoreOption = DEFAULT_STORE) -> None:
    """Show what the last run wants, what is done, running, failed."""
    from bench.cli.inspect import status_command

    status_command(store)


def log(
    key: Annotated[str, typer.Argument(help="The key of a task, or its beginning.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Print the log of a task, or of its failure."""
    from bench.cli.inspect import log_command

    log_command(key, store)


def gc(
    drop: Annotated[
        str, typer.Option(help="Kinds with commas: models, caches, features, predictions, samples.")
    ] = "models",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be dropped.")] = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Drop payloads that no goal needs any more; records, costs and curves stay."""
    from bench.cli.upkeep import gc_command

    gc_command(store, parse_names(drop) or (), dry_run)


def merge(
    other: Annotated[Path, typer.Argument(help="The store to take from; it is not changed.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take in the tasks of another store; what was made from other bytes stays apart."""
    from bench.cli.upkeep import merge_command

    raise typer.Exit(merge_command(other, store))


def doctor(
    weights: WeightsOption = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Look at this machine: packages, GPU, memory, weights, store."""
    from bench.cli.doctor import doctor_command

    raise typer.Exit(doctor_command(weights, store))


def verify(
    store: StoreOption = DEFAULT_STORE,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute", help="Also score again, in workers, from what is stored, and compare every file."
        ),
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove damaged tasks, to be made again.")] = False,
) -> None:
    """Re-hash every file in the store; exit code 1 if one is damaged or missing."""
    from bench.cli.verify import verify_command

    raise typer.Exit(verify_command(store, recompute=recompute, remove=remove))
