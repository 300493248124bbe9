"""`bench report`, `export`, `samples extract`: what can be made from a store again at any time."""

from pathlib import Path

from bench.cli.inspect import last_run
from bench.errors import BenchError, did_you_mean
from bench.methods import registry
from bench.methods.samples import extract
from bench.results.collect import collect
from bench.results.method_tasks import GENERATION_SCORES, pool_of, samples_of
from bench.results.of_store import collect_store
from bench.runner.session import render
from bench.store import open_store

FORMATS = {".csv": "csv", ".parquet": "parquet", ".json": "json", ".md": "markdown", ".tex": "latex"}


def report_command(store_root: Path, out: Path | None) -> None:
    store = open_store(store_root)
    last_run(store)  # says so where nothing has run yet
    if out is None:
        page = render(store, rebuild=True)
    else:
        page = registry.load_page("site")(collect_store(store), out)
    print(page)


def export_command(store_root: Path, out: Path, table: str, published: bool) -> None:
    check_export(out)
    store = open_store(store_root)
    results = collect(last_run(store)[1], store)
    write = registry.load_page("export")
    written = write(
        results.records,
        out,
        FORMATS[out.suffix],
        results.replicates,
        results.baseline,
        table=table,
        published=results.published if published else (),
    )
    print(written)


def check_export(out: Path) -> None:
    """Refuse a file to which records cannot be written, before they are made."""
    if out.suffix not in FORMATS:
        raise BenchError(f"{out} has no ending that tells a format; use one of {', '.join(FORMATS)}")
    if out.is_dir():
        raise BenchError(f"{out} is a folder; name a file")
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not there.is_dir():
        raise BenchError(f"{there} is a file, so {out} cannot be written; name another place")


def extract_command(store_root: Path, generator: str, seed: int, out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BenchError(f"{out} is there already and is no empty folder; name a new one")
    store = open_store(store_root)
    _, plan = last_run(store)
    sampled: dict[str, list[Path]] = {}
    for _, score, labels in plan.scores(*GENERATION_SCORES):
        if labels.seed == seed:
            tasks = samples_of(plan, pool_of(plan, score.generated))
            files = [store.out(task) / "samples.zip" for task in tasks if store.done(task)]
            sampled.setdefault(labels.generator, []).extend(files)
    if generator in sampled and not sampled[generator]:
        raise BenchError(f"{generator} has no images of seed {seed} yet; `bench run` makes them")
    if not sampled.get(generator):
        raise BenchError(did_you_mean("generator", generator, sampled, of=f"the last run, seed {seed}"))
    print(f"{extract(sampled[generator], out)} images in {out}")
