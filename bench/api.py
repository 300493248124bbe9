"""DefectBench in Python: `run`, `score`, `ingest`, `verify`, `compare` and `load`.

The command line parses words, calls these functions and prints what they return. They print nothing
themselves; a `RunView` shows progress. What a caller can mend is raised as BenchError, in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bench.api_results import Comparison, IngestResult, RunResult, Verification
from bench.errors import BenchError

if TYPE_CHECKING:  # `import bench` must not wait for pandas
    import pandas as pd

    from bench.planning.plan import Plan
    from bench.results.run import Results
    from bench.runner.driver import Outcome
    from bench.runner.view import RunView
    from bench.store import Store
    from bench.tasks import Task

T = TypeVar("T")
StrPath = str | PathLike[str]
DEFAULT_STORE = "bench-store"


def run(
    protocol: str,
    *,
    data: StrPath | None = None,
    generators: Sequence[str] | None = None,
    detectors: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    scale: str = "quick",
    split: str | None = None,
    shots: int | None = None,
    features: str = "embedded",
    settings: Mapping[str, Any] | Sequence[str] = (),
    weights: StrPath | None = None,
    plugins: Sequence[StrPath] = (),
    store: StrPath = DEFAULT_STORE,
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    time_limit: float | None = None,
    executor: Literal["local", "ray"] = "local",
    gpu_share: float = 1.0,
    task_memory: float = 0.0,
    dry_run: bool = False,
    all_warnings: bool = False,
    view: RunView | None = None,
) -> RunResult:
    """Run a protocol: whatever is missing in the store, and nothing else; then write the HTML report.

    The arguments are the options of `bench run`, by the same names; None leaves a choice to the protocol or,
    for `workers`, to the machine.

    data: folder of a data set in MVTec AD layout; the built-in sample data set by default.
    generators, detectors: names, "name[preset]" for a preset. seeds: e.g. `range(3)`.
    settings: {"unet.epochs": 3}, or the same as texts: ["unet.epochs=3"].
    plugins: Python files with adapters. time_limit: seconds per task. task_memory: GB per task, with Ray.
    dry_run: check and plan, but run nothing; the state of the result is then "planned".
    all_warnings: show each warning of the data, and not one line per kind and folder.
    view: shows progress; nothing is shown by default.

    A task that fails raises nothing: the others go on, and `RunResult.failed` gives the reason. Raises
    BenchError for what is wrong in the request, the data set or the store, before any task runs; also where
    the disk is full. Ctrl-C once finishes the running tasks, twice raises KeyboardInterrupt.

    >>> import bench
    >>> result = bench.run("mvtec_supervised", scale="smoke", categories=["chip", "weave"])
    >>> result.state
    'done'
    >>> frame = result.records()
    >>> sorted(frame.query("level == 'pixel'")["detector"].unique())
    ['bisenet_v2', 'unet']
    >>> result.page.name
    'index.html'
    """
    from bench.installation import check_packages
    from bench.planning.request import RunRequest
    from bench.runner.machine import Machine, check_machine
    from bench.runner.refusals import refused_by_name
    from bench.runner.session import prepare_session, run_session
    from bench.runner.view import NoView

    check_packages()
    request = RunRequest(
        protocol=protocol,
        data=_path(data),
        scale=scale,
        generators=_choice("generators", generators),
        detectors=_choice("detectors", detectors),
        categories=_choice("categories", categories),
        seeds=_choice("seeds", seeds),
        split=split,
        shots=shots,
        features=features,
        settings=_settings(settings),
        weights=_path(weights),
        plugins=tuple(Path(plugin) for plugin in plugins),
        all_warnings=all_warnings,
    )
    machine = Machine(workers, threads, device, time_limit, executor, gpu_share, task_memory)
    check_machine(machine)
    view = view or NoView()
    opened, plan, goals = prepare_session(request, Path(store), view.say, view.step)
    refused = tuple(refused_by_name(plan, request))
    if dry_run:
        return RunResult("planned", opened, plan, tuple(goals), refused=refused)
    session = run_session(request, opened, plan, goals, machine, view)
    return _run_result(opened, plan, goals, session.outcome, refused, session.page)


def score(
    images: StrPath | None = None,
    *,
    against: StrPath,
    predictions: StrPath | None = None,
    features: str = "embedded",
    weights: StrPath | None = None,
    resolution: int = 256,
    split: str | None = None,
    ic_lpips: Sequence[str] = ("default",),
    kid: Sequence[str] = ("default",),
    mix: str = "unknown",
    scope: str = "unknown",
    selection: str = "unknown",
    generated_per_type: int | None = None,
    store: StrPath = DEFAULT_STORE,
    all_warnings: bool = False,
    view: RunView | None = None,
) -> RunResult:
    """Score a folder of generated images, or of a detector's outputs, against a data set, with no protocol.

    images: `<category>/<defect>/{image,mask}/*.png`, or MVTec AD layout. predictions: a folder of anomaly
    maps, scores.csv or classes.csv instead. against: the real data set, in MVTec AD layout.
    resolution: side in pixels at which everything is compared. split: the images that count as test images.
    ic_lpips, kid: dialects of these metrics of images to record beside the default one.
    mix, scope, selection, generated_per_type: how the detector of the predictions was trained, as far as that
    is known; a value of which something is unknown is shown and compares with nothing.

    Raises BenchError for what is wrong in the folder, the data set or the store, before any task runs.
    """
    from bench.installation import check_packages
    from bench.record.trained_elsewhere import TrainedElsewhere
    from bench.runner.score_folder import ScoreRequest, score_folder
    from bench.runner.view import NoView
    from bench.store import open_store
    from bench.store.store import check_writable

    check_packages()
    folder = _path(predictions if images is None else images)
    if folder is None or (images is not None and predictions is not None):
        raise BenchError("name what is scored: either a folder of images, or --predictions DIR")
    request = ScoreRequest(
        kind="predictions" if images is None else "images",
        folder=folder,
        against=Path(against),
        features=features,
        weights=_path(weights),
        resolution=resolution,
        split=split,
        ic_lpips=_choice("ic_lpips", ic_lpips) or (),
        kid=_choice("kid", kid) or (),
        trained=TrainedElsewhere(mix, scope, selection, generated_per_type),
        all_warnings=all_warnings,
    )
    request.check()
    opened = open_store(Path(store), create=True)
    check_writable(opened)
    plan, goals, outcome = score_folder(request, opened, view or NoView())
    return _run_result(opened, plan, goals, outcome)


def ingest(
    source: StrPath,
    *,
    data: StrPath,
    generator: str | None = None,
    detector: str | None = None,
    split: str | None = None,
    seed: int = 0,
    mix: str = "unknown",
    scope: str = "unknown",
    selection: str = "unknown",
    generated_per_type: int | None = None,
    store: StrPath = DEFAULT_STORE,
    all_warnings: bool = False,
    view: RunView | None = None,
) -> IngestResult:
    """Copy images and masks, or anomaly maps and scores, that were made elsewhere into a store.

    source: the folder that holds the files; it may go afterwards. data: the data set they were made for.
    generator, detector: the name under which `run` knows them; give one of the two.
    split, seed: for a detector, the split whose test images its outputs are of.
    mix, scope, selection, generated_per_type: for a detector, how it was trained, as far as it is known; a
    value of which something is unknown is shown and compares with nothing.

    Raises BenchError that lists what is wrong in the folder.
    """
    from bench.ingestion.take_in import IngestRequest, take_in
    from bench.installation import check_packages
    from bench.record.trained_elsewhere import TrainedElsewhere
    from bench.runner.view import NoView

    check_packages()
    kind: Literal["generator", "detector"] = "detector" if generator is None else "generator"
    name = detector if generator is None else generator
    if name is None or (generator is not None and detector is not None):
        raise BenchError("name what is ingested: either --generator NAME or --detector NAME")
    trained = TrainedElsewhere(mix, scope, selection, generated_per_type)
    request = IngestRequest(kind, name, Path(source), Path(data), split, seed, trained, all_warnings)
    content = take_in(request, Path(store), view or NoView())
    return IngestResult(kind, name, content.tasks, content.notes)


def verify(store: StrPath = DEFAULT_STORE, *, recompute: bool = False, remove: bool = False) -> Verification:
    """Hash every file in a store again and compare with what was written.

    recompute: also score again from stored predictions and features, in workers, and compare every file.
    remove: remove damaged tasks, so that the next run that rests on them makes them again.

    Raises BenchError where there is no store, or where it cannot be written and `remove` is asked for.
    """
    from bench.store import open_store
    from bench.store.store import check_writable
    from bench.upkeep.verify import look_at, remove_damaged

    opened = open_store(Path(store))
    if remove:
        check_writable(opened)
    look = look_at(opened, recompute=recompute)
    for key, fault in look.damaged.items() if remove else ():
        remove_damaged(opened, key, fault)
    return Verification(**vars(look))


def compare(first: StrPath, second: StrPath, *, store: StrPath = DEFAULT_STORE) -> Comparison:
    """Compare two stores, or two runs, cell by cell: the difference, its interval, or why there is none.

    first, second: a store (its last run), "STORE@RUN", or a run of `store`.

    Raises BenchError where there is no such store or run.
    """
    from bench.methods import registry
    from bench.results.collect import collect
    from bench.runner.find_run import find_plan

    def results(name: StrPath) -> Results:
        opened, plan = find_plan(str(name), Path(store))
        return collect(plan, opened)

    before, after = results(first), results(second)
    return Comparison(before, after, tuple(registry.load_page("compare")(before, after)))


def load(store: StrPath = DEFAULT_STORE, run: str | None = None, *, published: bool = False) -> pd.DataFrame:
    """The records of a store as a DataFrame: one row per metric value, one column per field of `Record`.

    store: folder of the store. run: a run's name, or its beginning, as in `STORE/runs`; all runs by default,
    with each value once. published: also what papers printed for the store's protocols.
    Numbers are float64 and Int64, missing ones NA (a value that is undefined, skipped or failed; a count that
    a paper does not state); all else is str.

    Raises BenchError where there is no store or no such run.

    >>> import bench
    >>> frame = bench.load("bench-store")
    >>> frame[["generator", "category", "metric", "value", "status"]]
        generator category    metric  value   status
    0        none     bolt  accuracy   0.50       ok
    1  crop_paste     bolt  accuracy   0.75       ok
    2        none     tile  accuracy   0.25       ok
    3  crop_paste     tile  accuracy   0.75       ok
    4      perlin     bolt  accuracy    NaN  skipped
    5      perlin     tile  accuracy    NaN  skipped

    Means over categories, and what a generator gains over the real third:

    >>> measured = frame[frame["status"] == "ok"]
    >>> means = measured.groupby("generator")["value"].mean()
    >>> float(means["crop_paste"] - means["none"])
    0.375

    Why a cell is empty, and what is comparable with what, stands in the row:

    >>> frame.loc[4, "note"]
    'perlin knows no defect types, so its images have no label to learn'
    >>> frame["selection"].unique().tolist()
    ['last']

    Papers' numbers come with their caveats, and are never comparable with measured ones by themselves:

    >>> both = bench.load("bench-store", published=True)
    >>> theirs = both[(both["kind"] == "published") & (both["metric"] == "accuracy")]
    >>> theirs.loc[theirs["category"] == "bottle", ["generator", "value", "source"]].head(2)
        generator  value                  source
    8     diffaug  0.488  AnomalyHybrid, Table 1
    11  crop_paste  0.527  AnomalyHybrid, Table 1
    """
    from bench.results.frame import load_frame

    return load_frame(store, run, published=published)


def _run_result(
    store: Store,
    plan: Plan,
    goals: Sequence[Task],
    outcome: Outcome,
    refused: tuple[str, ...] = (),
    page: Path | None = None,
) -> RunResult:
    state: Literal["done", "failed", "stopped"] = "done"
    if outcome.drained:
        state = "stopped"
    elif outcome.failed or outcome.blocked:
        state = "failed"
    return RunResult(
        state, store, plan, tuple(goals), outcome.ran, outcome.failed, outcome.blocked, refused, page
    )


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _choice(argument: str, values: Sequence[T] | None) -> tuple[T, ...] | None:
    """What was chosen as a tuple; None leaves the choice to the protocol."""
    if isinstance(values, str):
        raise BenchError(f"{argument}={values!r} is a text; give a list, such as [{values!r}]")
    if values is not None and not len(values):
        raise BenchError(f"{argument} is empty; leave it out for the protocol's own")
    return None if values is None else tuple(values)


def _settings(settings: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Settings as `--set` takes them."""
    if not isinstance(settings, Mapping):
        return tuple(settings)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return tuple(f"{name}={text}" for name, text in texts.items())
