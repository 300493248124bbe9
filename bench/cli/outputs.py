"""`bench report`, `export`, `samples extract`: what can be made from a store again at any time."""

from pathlib import Path

from bench.cli.damage import print_damage, print_unreadable_plans
from bench.errors import BenchError
from bench.methods import registry
from bench.methods.samples import extract
from bench.results.collect import collect
from bench.results.of_store import collect_store
from bench.results.sample_files import sample_files
from bench.runner.find_run import last_run
from bench.runner.session import render
from bench.store import open_store

FORMATS = {".csv": "csv", ".parquet": "parquet", ".json": "json", ".md": "markdown", ".tex": "latex"}


def report_command(store_root: Path, out: Path | None) -> int:
    """0, or 1 where a stored result is damaged and is shown as failed."""
    store = open_store(store_root)
    last_run(store)  # says so where nothing has run yet
    with store.planning():  # `bench gc` drops nothing meanwhile
        results = collect_store(store)
        if out is None:
            page = render(store, results=results, rebuild=True)
        else:
            page = registry.load_page("site")(results, out)
    print(page)
    print_unreadable_plans(store)
    return print_damage(store_root, *results)


def export_command(store_root: Path, out: Path, table: str, published: bool) -> int:
    """0, or 1 where a stored result is damaged and is exported as failed."""
    check_export(out)
    store = open_store(store_root)
    results = collect(last_run(store)[1], store)
    write = registry.load_page("export")
    written = write(
        results.records,
        out,
        format_of(out),
        results.replicates,
        results.baseline,
        table=table,
        published=results.published if published else (),
    )
    print(written)
    return print_damage(store_root, results)


def format_of(out: Path) -> str:
    """The format of a file by its ending, in letters of either case."""
    return FORMATS[out.suffix.lower()]


def check_export(out: Path) -> None:
    """Refuse a file to which records cannot be written, before they are made."""
    if out.suffix.lower() not in FORMATS:
        raise BenchError(f"{out} has no ending that tells a format; use one of {', '.join(FORMATS)}")
    if out.is_dir():
        raise BenchError(f"{out} is a folder; name a file")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise BenchError(f"{parent} is a file, so {out} cannot be written; name another place")


def extract_command(store_root: Path, generator: str, seed: int, out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BenchError(f"{out} is there already and is not an empty folder; name a new one")
    store = open_store(store_root)
    files = sample_files(last_run(store)[1], store, generator, seed)
    print(f"{extract(files, out)} images in {out}")
