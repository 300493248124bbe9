"""The commands that make results: run, ingest, score, check. Bodies import what they need when they run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.options import (
    DEFAULT_STORE,
    UNSTATED,
    AllOption,
    DataOption,
    GeneratedOption,
    MixOption,
    PluginOption,
    ScopeOption,
    SelectionOption,
    StoreOption,
    WeightsOption,
    parse_names,
    parse_seeds,
)


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
    shots: Annotated[int | None, typer.Option(min=1, max=2, help="Real defects per type: 1 or 2.")] = None,
    features: Annotated[str, typer.Option(help="embedded or canonical.")] = "embedded",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, or method.key=value.")
    ] = None,
    weights: WeightsOption = None,
    plugin: PluginOption = None,
    store: StoreOption = DEFAULT_STORE,
    workers: Annotated[int | None, typer.Option(min=1, help="Tasks at once on the CPU.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads per task; more change the last bits.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes GPUs if any.")] = "auto",
    time_limit: Annotated[float | None, typer.Option(min=1, help="Seconds a task may take.")] = None,
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: the cluster at RAY_ADDRESS, or this machine alone.")
    ] = "local",
    gpu_share: Annotated[
        float, typer.Option(min=0.01, help="GPUs per task that uses one; 0.5 runs two tasks on each.")
    ] = 1.0,
    task_memory: Annotated[float, typer.Option(min=0, help="With ray: GB of memory per task.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run and what is done.")] = False,
    all_warnings: AllOption = False,
) -> None:
    """Run a protocol: whatever is missing in the store, and nothing else; then render the page."""
    from bench.cli.run import run_command

    code = run_command(
        protocol,
        data=data,
        generators=parse_names(generators),
        detectors=parse_names(detectors),
        categories=parse_names(categories),
        seeds=parse_seeds(seeds),
        scale=scale,
        split=split,
        shots=shots,
        features=features,
        settings=settings or (),
        weights=weights,
        plugins=plugin or (),
        store=store,
        workers=workers,
        threads=threads,
        device=device,
        time_limit=time_limit,
        executor=executor,
        gpu_share=gpu_share,
        task_memory=task_memory,
        dry_run=dry_run,
        all_warnings=all_warnings,
    )
    raise typer.Exit(code)


def ingest(
    source: Annotated[Path, typer.Option("--from", help="Folder with what was made elsewhere.")],
    generator: Annotated[str | None, typer.Option(help="Name under which images and masks go in.")] = None,
    detector: Annotated[str | None, typer.Option(help="Name under which maps and scores go in.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar="DEFECTBENCH_DATA", help="The data set it was made for, in MVTec AD layout."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="The split that the detector's test images are of.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of a random split.")] = 0,
    mix: MixOption = UNSTATED,
    scope: ScopeOption = UNSTATED,
    selection: SelectionOption = UNSTATED,
    generated_per_type: GeneratedOption = None,
    store: StoreOption = DEFAULT_STORE,
    all_warnings: AllOption = False,
) -> None:
    """Take in images and masks, or anomaly maps and scores, that were made elsewhere."""
    from bench.cli.ingest import ingest_command

    ingest_command(
        source,
        data,
        generator=generator,
        detector=detector,
        split=split,
        seed=seed,
        mix=mix,
        scope=scope,
        selection=selection,
        generated_per_type=generated_per_type,
        store=store,
        all_warnings=all_warnings,
    )


def score(
    against: Annotated[Path, typer.Option(help="The real data set, in MVTec AD layout.")],
    images: Annotated[Path | None, typer.Argument(help="A folder of generated images and masks.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="A folder of anomaly maps, scores or classes instead.")
    ] = None,
    features: Annotated[str, typer.Option(help="embedded or canonical.")] = "embedded",
    weights: WeightsOption = None,
    resolution: Annotated[int, typer.Option(min=16, help="Side in pixels at which all is compared.")] = 256,
    split: Annotated[str | None, typer.Option(help="first-third, or a TOML or JSON file.")] = None,
    ic_lpips: Annotated[
        str, typer.Option(help="Dialects of IC-LPIPS beside the default: seas, dfmgan, ojha, anomalyhybrid.")
    ] = "default",
    kid: Annotated[str, typer.Option(help="Dialects of KID beside the default: subset.")] = "default",
    mix: MixOption = UNSTATED,
    scope: ScopeOption = UNSTATED,
    selection: SelectionOption = UNSTATED,
    generated_per_type: GeneratedOption = None,
    out: Annotated[Path | None, typer.Option(help="File for the records: .csv, .json or .parquet.")] = None,
    store: StoreOption = DEFAULT_STORE,
    all_warnings: AllOption = False,
) -> None:
    """Score a folder of generated images, or a detector's outputs, against a data set; no protocol."""
    from bench.cli.score import score_command

    code = score_command(
        images,
        against,
        out=out,
        predictions=predictions,
        features=features,
        weights=weights,
        resolution=resolution,
        split=split,
        ic_lpips=parse_names(ic_lpips) or (),
        kid=parse_names(kid) or (),
        mix=mix,
        scope=scope,
        selection=selection,
        generated_per_type=generated_per_type,
        store=store,
        all_warnings=all_warnings,
    )
    raise typer.Exit(code)


def check(
    kind: Annotated[Literal["generator", "detector"], typer.Argument()],
    name: Annotated[str, typer.Argument(help="Name of the method.")],
    plugin: PluginOption = None,
    weights: WeightsOption = None,
) -> None:
    """Run the conformance suite on a generator or detector."""
    from bench.cli.check import check_command

    raise typer.Exit(check_command(kind, name, plugin or [], weights))
