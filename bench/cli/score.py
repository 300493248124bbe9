"""`bench score`: metrics of a folder of images, or of anomaly maps, with no protocol around them."""

from pathlib import Path

from bench.cli.ingest import ingested_images, ingested_predictions
from bench.cli.outputs import FORMATS, check_export
from bench.cli.progress import step_progress, view
from bench.data.layout import find_dataset
from bench.errors import BenchError
from bench.features.identity import features_digest
from bench.methods import registry
from bench.planning.config import PlanConfig
from bench.planning.plan import make_plan, save_plan
from bench.planning.prepare import prepare
from bench.record.labels import SCORE
from bench.results.collect import collect
from bench.runner.machine import Machine, run_tasks
from bench.store import open_store
from bench.store.store import check_writable

_REPLICATES = 1000


def score_command(
    images: Path | None,
    predictions: Path | None,
    against: Path,
    *,
    features: str,
    weights: Path | None,
    resolution: int,
    split: str | None,
    out: Path | None,
    store_root: Path,
) -> int:
    """Score, print, and write the records to `out` if it is given. Exit code 1 if a category failed."""
    if (images is None) == (predictions is None):
        raise BenchError("name what is scored: either a folder of images, or --predictions DIR")
    if out is not None:
        check_export(out)
    folder = images or predictions
    assert folder is not None
    if not folder.is_dir():
        raise BenchError(f"the folder {folder} does not exist; name the folder that holds what is scored")
    if weights is not None and not weights.is_dir():
        raise BenchError(f"the weights folder {weights} does not exist; give the folder of --weights")
    weights_digest = features_digest(features, weights)
    store = open_store(store_root, create=True)
    check_writable(store)
    rule = split or "first-third@1"
    data = prepare(
        against,
        store,
        categories=None,
        rule=rule,
        shots=None,
        seeds=[0],
        pinned=None,
        resolution=resolution,
        progress=step_progress("reading the data set"),
    )
    config = PlanConfig(
        protocol=SCORE,
        version=1,
        scale="",
        preset="",
        dataset=data.dataset.name,
        fingerprint=data.fingerprint,
        splits=data.splits,
        generators=(),
        detectors=(),
        seeds=(0,),
        resolution=resolution,
        generated_per_type=0,
        chunk=1,
        replicates=_REPLICATES,
        features=features,
        features_weights=weights_digest,
        selection="unknown",
    )
    name = folder.resolve().name
    if images is not None:
        _, held = ingested_images(store, find_dataset(against), folder, name)
        planned = registry.load_plan("images")(config, name, held)
    else:
        _, held = ingested_predictions(store, against, rule, 0, folder, name)
        planned = registry.load_plan("predictions")(config, name, held)
    about = {
        "protocol": SCORE,
        "scale": "",
        "dataset": config.dataset,
        "banner": "",
        "warnings": list(data.warnings),
        "provenance": {"data fingerprint": config.fingerprint, "split": rule, "features": features},
    }
    plan, goals = make_plan(planned, about)
    with store.planning():
        save_plan(plan, store.root / "runs")
    told: dict[str, str | None] = {"plan": None, "command": "bench score"}
    outcome = run_tasks(store, goals, Machine(), view(), told, weights=weights)
    results = collect(plan, store)
    registry.load_page("terminal")(results)
    if out is not None:
        print(registry.load_page("export")(results.records, out, FORMATS[out.suffix], results.replicates))
    return 1 if outcome.failed or outcome.drained else 0
