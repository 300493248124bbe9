"""The commands: what each takes, and where it is done. Bodies import what they need when they run."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.errors import BenchError

app = typer.Typer(
    help="Measures generators of industrial defect images, and what their images are worth to detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)
samples_app = typer.Typer(help="Look at generated images.", no_args_is_help=True, rich_markup_mode=None)
published_app = typer.Typer(
    help="Look at what papers printed, and where they contradict themselves.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.add_typer(published_app, name="published")
app.add_typer(samples_app, name="samples")

StoreOption = Annotated[
    Path, typer.Option("--store", envvar="DEFECTBENCH_STORE", help="Folder of everything that was made.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar="DEFECTBENCH_DATA", help="Data set in MVTec AD layout [default: built in]."
    ),
]
DEFAULT_STORE = Path("bench-store")
MOST_SEEDS = 1000


def _names(text: str | None) -> tuple[str, ...] | None:
    """ "a,b[released]" to names; commas within brackets do not part."""
    if text is None:
        return None
    names = tuple(part.strip() for part in re.split(r",(?![^\[\]]*\])", text) if part.strip())
    if not names:
        raise BenchError("an empty list of names was given; leave the option out for the protocol's own")
    return names


def _seeds(text: str | None) -> tuple[int, ...] | None:
    """ "0-2" or "0,3" to numbers."""
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise BenchError(f"--seeds {text!r} is no list of seeds; write 0, 0-2 or 0,1,5")
        first, last = int(match[1]), int(match[2] or match[1])
        if len(seeds) + last - first >= MOST_SEEDS:
            raise BenchError(f"--seeds {text!r} is more than {MOST_SEEDS} seeds; name fewer")
        seeds += range(first, last + 1)
    return tuple(dict.fromkeys(seeds))


@app.command()
def run(
    protocol: Annotated[str, typer.Option(help="What to run; `bench list protocols` names them.")],
    data: DataOption = None,
    generators: Annotated[
        str | None, typer.Option(help="Names with commas; name[preset] for a preset.")
    ] = None,
    detectors: Annotated[str | None, typer.Option(help="Names with commas.")] = None,
    categories: Annotated[str | None, typer.Option(help="Names with commas.")] = None,
    seeds: Annotated[str | None, typer.Option(help="0-2 or 0,1,5.")] = None,
    scale: Annotated[str, typer.Option(help="smoke, quick or paper.")] = "quick",
    split: Annotated[str | None, typer.Option(help="first-third, random, or a TOML or JSON file.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, max=2, help="Real defects a type: 1 or 2.")] = None,
    features: Annotated[str, typer.Option(help="embedded or canonical.")] = "embedded",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, or method.key=value.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(envvar="DEFECTBENCH_WEIGHTS", help="Folder of local weight files.")
    ] = None,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with adapters of your own.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    workers: Annotated[int | None, typer.Option(min=1, help="Tasks at once on the CPU.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads a task; more change the last bits.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes GPUs if any.")] = "auto",
    time_limit: Annotated[float | None, typer.Option(min=1, help="Seconds a task may take.")] = None,
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: the cluster at RAY_ADDRESS, or this machine alone.")
    ] = "local",
    gpu_share: Annotated[
        float, typer.Option(min=0.01, help="GPUs that a task on a GPU takes; 0.5 runs two on each.")
    ] = 1.0,
    task_memory: Annotated[
        float, typer.Option(min=0, help="With ray: GB of memory that a task takes of its node.")
    ] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run and what is done.")] = False,
) -> None:
    """Run a protocol: whatever is missing in the store, and nothing else; then render the page."""
    from bench.cli.run import run_command
    from bench.planning.request import RunRequest
    from bench.runner.machine import Machine

    request = RunRequest(
        protocol=protocol,
        data=data,
        scale=scale,
        generators=_names(generators),
        detectors=_names(detectors),
        categories=_names(categories),
        seeds=_seeds(seeds),
        split=split,
        shots=shots,
        features=features,
        settings=tuple(settings or ()),
        weights=weights,
        plugins=tuple(plugin or ()),
    )
    machine = Machine(workers, threads, device, time_limit, executor, gpu_share, task_memory)
    raise typer.Exit(run_command(request, store, machine, dry_run))


@app.command("list")
def list_(
    kind: Annotated[Literal["all", "generators", "detectors", "protocols"], typer.Argument()] = "all",
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with adapters of your own.")
    ] = None,
) -> None:
    """List generators, detectors and protocols."""
    from bench.cli.inspect import list_command

    list_command(kind, plugin or [])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A generator, detector, protocol, or the key of a task.")],
    store: StoreOption = DEFAULT_STORE,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with adapters of your own.")
    ] = None,
) -> None:
    """Show a method with its parameters and presets, a protocol, or a task."""
    from bench.cli.inspect import show_command

    show_command(name, store, plugin or [])


@app.command()
def status(store: StoreOption = DEFAULT_STORE) -> None:
    """Show what the last run wants, what is done, running, failed."""
    from bench.cli.inspect import status_command

    status_command(store)


@app.command()
def log(
    key: Annotated[str, typer.Argument(help="The key of a task, or its beginning.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Print the log of a task, or of its failure."""
    from bench.cli.inspect import log_command

    log_command(key, store)


@app.command()
def report(
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[Path | None, typer.Option(help="Folder of the site [default: STORE/report].")] = None,
) -> None:
    """Write the site of a store: static pages of every protocol that was run."""
    from bench.cli.outputs import report_command

    report_command(store, out)


@app.command()
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

    export_command(store, out, table, published)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A store, STORE@RUN, or a run of --store.")],
    second: Annotated[str, typer.Argument(help="Likewise.")],
    categories: Annotated[bool, typer.Option("--categories", help="Show every category too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Compare two stores or two runs cell by cell, with paired intervals, or say why they cannot be."""
    from bench.cli.compare import compare_command

    compare_command(first, second, store, categories, as_json)


@samples_app.command("extract")
def samples_extract(
    out: Annotated[Path, typer.Argument(help="Folder to write, in MVTec AD layout.")],
    generator: Annotated[str, typer.Option(help="Name of the generator.")],
    seed: Annotated[int, typer.Option()] = 0,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write the generated images of the last run as a folder of PNGs."""
    from bench.cli.outputs import extract_command

    extract_command(store, generator, seed, out)


@app.command()
def ingest(
    source: Annotated[Path, typer.Option("--from", help="Folder with what was made elsewhere.")],
    generator: Annotated[str | None, typer.Option(help="Name under which images and masks go in.")] = None,
    detector: Annotated[str | None, typer.Option(help="Name under which maps and scores go in.")] = None,
    data: DataOption = None,
    split: Annotated[
        str | None, typer.Option(help="The split that the detector's test images are of.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of a random split.")] = 0,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take in images and masks, or anomaly maps and scores, that were made elsewhere."""
    from bench.cli.ingest import ingest_command

    ingest_command(source, generator, detector, data, split, seed, store)


@app.command()
def score(
    against: Annotated[Path, typer.Option(help="The real data set, in MVTec AD layout.")],
    images: Annotated[Path | None, typer.Argument(help="A folder of generated images and masks.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="A folder of anomaly maps, scores or classes instead.")
    ] = None,
    features: Annotated[str, typer.Option(help="embedded or canonical.")] = "embedded",
    weights: Annotated[
        Path | None, typer.Option(envvar="DEFECTBENCH_WEIGHTS", help="Folder of local weight files.")
    ] = None,
    resolution: Annotated[int, typer.Option(min=16, help="Side in pixels at which all is compared.")] = 256,
    split: Annotated[str | None, typer.Option(help="first-third, or a TOML or JSON file.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the records: .csv, .json or .parquet.")] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Score a folder of generated images, or a detector's outputs, against a data set; no protocol."""
    from bench.cli.score import score_command

    code = score_command(
        images, predictions, against, features=features, weights=weights, resolution=resolution, split=split,
        out=out, store_root=store,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
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
    """Hold the last run against a baseline: exit code 0 as it was, 1 moved or failed, 2 cannot tell."""
    from bench.cli.gate import Outputs, gate_command

    code = gate_command(
        baseline, store, update=update, reason=reason, speed=speed, outputs=Outputs(json, junit, markdown)
    )
    raise typer.Exit(code)


@app.command()
def gc(
    drop: Annotated[
        str, typer.Option(help="Kinds with commas: models, caches, features, predictions, samples.")
    ] = "models",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be dropped.")] = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Drop payloads that no goal needs any more; records, costs and curves stay."""
    from bench.cli.upkeep import gc_command

    gc_command(store, _names(drop) or (), dry_run)


@app.command()
def merge(
    other: Annotated[Path, typer.Argument(help="The store to take from; it is not changed.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take in the tasks of another store; what was made from other bytes stays apart."""
    from bench.cli.upkeep import merge_command

    raise typer.Exit(merge_command(other, store))


@app.command()
def check(
    kind: Annotated[Literal["generator", "detector"], typer.Argument()],
    name: Annotated[str, typer.Argument(help="Name of the method.")],
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with adapters of your own.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(envvar="DEFECTBENCH_WEIGHTS", help="Folder of local weight files.")
    ] = None,
) -> None:
    """Run the conformance suite on a generator or detector."""
    from bench.cli.check import check_command

    raise typer.Exit(check_command(kind, name, plugin or [], weights))


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@published_app.command("list")
def published_list(as_json: JsonOption = False) -> None:
    """List the papers and their tables."""
    from bench.cli.published import list_command

    list_command(as_json)


@published_app.command("show")
def published_show(
    paper: Annotated[str, typer.Argument(help="Name of a paper, as `bench published list` shows it.")],
    table: Annotated[str | None, typer.Argument(help="Number of a table [default: all].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a table as printed, with what is known of its protocol."""
    from bench.cli.published import show_command

    show_command(paper, table, as_json)


@published_app.command("audit")
def published_audit(
    paper: Annotated[str | None, typer.Argument(help="Name of a paper [default: all].")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every finding of a method.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute means, hold tables against each other, and list every contradiction."""
    from bench.cli.published import audit_command

    audit_command(paper, everything, as_json)


@published_app.command("disagreements")
def published_disagreements(
    name: Annotated[str | None, typer.Argument(help="D31, or 31 [default: all].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say where papers and repositories disagree, and which option covers it; notes cite these by number."""
    from bench.cli.published import disagreements_command

    disagreements_command(name, as_json)


@data_app.command("check")
def data_check(folder: Annotated[Path, typer.Argument(help="A data set in MVTec AD layout.")]) -> None:
    """Decode every file and list all problems at once; exit code 1 if a run would stop on one."""
    from bench.cli.data import check_command

    raise typer.Exit(check_command(folder))


@data_app.command("list")
def data_list(folder: Annotated[Path, typer.Argument(help="A data set in MVTec AD layout.")]) -> None:
    """Count images by category and defect type, and how the first-third split divides them."""
    from bench.cli.data import list_command

    list_command(folder)


@data_app.command("make-sample")
def data_make_sample(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int, typer.Option(help="Side of the images in pixels.")] = 256,
    train: Annotated[int, typer.Option(help="Normal training images a category.")] = 60,
    test_good: Annotated[int, typer.Option(help="Normal test images a category.")] = 16,
    per_defect: Annotated[int, typer.Option(help="Images a defect type.")] = 12,
    layout: Annotated[Literal["mvtec", "mvtec3d"], typer.Option()] = "mvtec",
    categories: Annotated[str | None, typer.Option(help="Names with commas [default: all].")] = None,
) -> None:
    """Render the sample data set, with as many images of any size as you like."""
    from bench.cli.data import make_sample_command

    make_sample_command(
        out, _names(categories), seed=seed, size=size, train=train, test_good=test_good,
        per_defect=per_defect, layout=layout,
    )  # fmt: skip


@app.command()
def doctor(
    weights: Annotated[Path | None, typer.Option(envvar="DEFECTBENCH_WEIGHTS")] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Look at this machine: packages, GPU, memory, weights, store."""
    from bench.cli.doctor import doctor_command

    raise typer.Exit(doctor_command(weights, store))


@app.command()
def verify(
    store: StoreOption = DEFAULT_STORE,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Also score again from stored predictions.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove damaged tasks, to be made again.")] = False,
) -> None:
    """Re-hash every file in the store; exit code 1 if one is damaged or missing."""
    from bench.cli.verify import verify_command

    raise typer.Exit(verify_command(store, recompute=recompute, remove=remove))
