"""One `bench run`: prepare, plan, bring the store to the desired state, render the page."""

import errno
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import registry
from bench.collect_store import collect_store, plans
from bench.data.parallel import processors
from bench.errors import BenchError
from bench.planning.plan import Plan, make_plan, save_plan
from bench.planning.request import RunRequest, prepare_request
from bench.run.driver import Driver, Outcome, RunSettings, View, missing
from bench.run.local import LocalExecutor
from bench.store import Store, open_store
from bench.store.environment import code_commit, environment, store_environment
from bench.store.store import check_writable, write_atomically
from bench.tasks import Task, digest

_MEMORY_A_WORKER = 2 << 30


@dataclass(frozen=True)
class Machine:
    """How this machine is used; None leaves the choice to DefectBench."""

    workers: int | None = None
    threads: int = 1
    device: str = "auto"
    time_limit: float | None = None


@dataclass(frozen=True)
class Session:
    """How a run ended."""

    plan: Plan
    outcome: Outcome
    page: Path | None


def check_machine(machine: Machine) -> None:
    """Raise BenchError where this machine lacks what the user asked of it."""
    if machine.device == "cuda" and not environment()["gpus"]:
        raise BenchError("--device cuda: nvidia-smi lists no GPU on this machine; use --device auto")


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
    plan, goals = make_plan(prepared.module.plan(prepared.config), prepared.about)
    return store, plan, goals


def run_session(
    request: RunRequest, store: Store, plan: Plan, goals: list[Task], machine: Machine, view: View
) -> Session:
    """Run what is missing, then render the page of the results."""
    with _telling_of_a_full_disk(store):
        return _run_session(request, store, plan, goals, machine, view)


def _run_session(
    request: RunRequest, store: Store, plan: Plan, goals: list[Task], machine: Machine, view: View
) -> Session:
    plan_file = save_plan(plan, store.root / "runs")
    gpus = len(environment()["gpus"]) if machine.device in ("auto", "cuda") else 0
    settings = RunSettings(
        run=f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}",
        env=store_environment(store, machine.threads),
        commit=code_commit(),
        threads=machine.threads,
        weights=str(request.weights.absolute()) if request.weights else None,
        plugins=tuple(str(path.absolute()) for path in request.plugins),
        time_limit=machine.time_limit,
    )
    executor = LocalExecutor(machine.workers or default_workers(), gpus)
    driver = Driver(store, executor, settings, view)
    outcome = driver.run(goals, {"plan": plan_file.name, "command": request.command})
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


def render(store: Store, *, rebuild: bool = False) -> Path:
    """The pages of everything in a store, in STORE/report, made again only where something changed."""
    out = store.root / "report"
    state = digest([page_state(store, plan) for plan in plans(store)])
    marker = store.root / "runs" / "rendered"
    if not rebuild and (out / "index.html").exists() and marker.exists() and marker.read_text() == state:
        return out / "index.html"
    page = registry.load_page("site")(collect_store(store), out)
    write_atomically(marker, state)
    return page


def page_state(store: Store, plan: Plan) -> str:
    """Digest of all that the page of a plan is made from."""
    reasons = {key: (store.failure(key) or {}).get("error") for key in plan.goals if not store.done(key)}
    return digest([plan.digest, reasons, environment()["packages"].get("defectbench"), code_commit()])


def summary(store: Store, goals: list[Task]) -> list[tuple[str, int, int]]:
    """(stage, tasks done or not needed, tasks to run), for --dry-run."""
    from bench.tasks import closure

    todo = Counter(task.stage for task in missing(store, goals).values())
    every = Counter(task.stage for task in closure(goals).values())
    return [(stage, every[stage] - todo[stage], todo[stage]) for stage in every]


def default_workers() -> int:
    """One worker a processor, as far as the memory goes."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return processors()
    return max(1, min(processors(), free // _MEMORY_A_WORKER))
