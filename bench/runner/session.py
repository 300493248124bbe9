"""One `bench run`: prepare, plan, bring the store to the desired state, render the page."""

import errno
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.methods import registry
from bench.planning.plan import Plan, make_plan, save_plan
from bench.planning.request import RunRequest, prepare_request
from bench.results.of_store import collect_store, plan_files
from bench.results.run import Results
from bench.runner.driver import Outcome, missing
from bench.runner.machine import Machine, run_tasks
from bench.runner.view import RunView
from bench.store import Store, open_store
from bench.store.environment import code_commit, environment
from bench.store.locks import locked
from bench.store.notes import read_note, write_note
from bench.store.source_code import changed_source
from bench.store.store import check_writable
from bench.tasks import Task, closure, digest


@dataclass(frozen=True)
class Session:
    """How a run ended."""

    plan: Plan
    outcome: Outcome
    page: Path | None


def prepare_session(
    request: RunRequest, store_root: Path, say: Callable[[str], None], progress: Callable[[str], Any]
) -> tuple[Store, Plan, list[Task]]:
    """Open the store, check the request, plan. Nothing has run afterwards, and bad input has been refused."""
    store = open_store(store_root, create=True)
    check_writable(store)
    with _telling_of_a_full_disk(store):
        prepared = prepare_request(request, store, progress)
    for note in prepared.notes:
        say(note)
    plan, goals = make_plan(prepared.planned(), prepared.about)
    methods = (*prepared.config.generators, *prepared.config.detectors)
    missing_here = [method.missing_requirement for method in methods if method.missing_requirement]
    if missing_here and not any(plan.nodes[key].metrics for key in plan.goals):
        raise BenchError(f"nothing is left to run: {'; '.join(missing_here)}")
    if changed := changed_source(store, goals):
        say(changed)
    return store, plan, goals


def run_session(
    request: RunRequest, store: Store, plan: Plan, goals: list[Task], machine: Machine, view: RunView
) -> Session:
    """Run what is missing, then render the page of the results."""
    with _telling_of_a_full_disk(store):
        return _run_session(request, store, plan, goals, machine, view)


def _run_session(
    request: RunRequest, store: Store, plan: Plan, goals: list[Task], machine: Machine, view: RunView
) -> Session:
    with store.planning():
        plan_file = save_plan(plan, store.root / "runs")
    outcome = run_tasks(
        store,
        goals,
        machine,
        view,
        {"plan": plan_file.name, "command": request.command},
        weights=request.weights,
        plugins=request.plugins,
    )
    return Session(plan, outcome, render(store, rebuild=outcome.ran > 0))


@contextmanager
def _telling_of_a_full_disk(store: Store) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BenchError(
            f"the disk of the store {store.root} is full; free some space and run the same command again"
        ) from error


def render(store: Store, *, results: Sequence[Results] | None = None, rebuild: bool = False) -> Path:
    """The pages of everything in a store, in STORE/report, made again only where something changed.

    results: of `collect_store`, where they were collected already.
    """
    out = store.root / "report"
    state = site_state(store)
    marker = store.root / "runs" / "rendered"
    if not rebuild and (out / "index.html").exists() and read_note(marker) == state:
        return out / "index.html"
    # two runs would sweep each other's pictures, and `bench gc` what is to be shown
    with store.planning(), locked(store.root / "runs" / ".rendering"):
        page = registry.load_page("site")(collect_store(store) if results is None else results, out)
        write_note(marker, state)
    return page


def site_state(store: Store) -> str:
    """Digest of all that the pages of a store are made from, without reading its plans."""
    files = [path.name for path in plan_files(store)]
    return digest([files, store.failures(), environment()["packages"].get("defectbench"), code_commit()])


def page_state(store: Store, plan: Plan) -> str:
    """Digest of all that the page of a plan is made from."""
    reasons = {key: (store.failure(key) or {}).get("error") for key in plan.goals if not store.done(key)}
    return digest([plan.digest, reasons, environment()["packages"].get("defectbench"), code_commit()])


def summary(store: Store, goals: Sequence[Task]) -> list[tuple[str, int, int]]:
    """(stage, tasks done or not needed, tasks to run), for --dry-run."""
    todo = Counter(task.stage for task in missing(store, goals).values())
    total = Counter(task.stage for task in closure(goals).values())
    return [(stage, total[stage] - todo[stage], todo[stage]) for stage in total]
