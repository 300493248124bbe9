"""`bench run`."""

import shutil
from pathlib import Path

from bench.cli.progress import step_progress, view
from bench.methods import registry
from bench.planning.plan import Plan
from bench.planning.request import RunRequest
from bench.record.labels import NONE
from bench.results.collect import collect
from bench.runner.driver import missing
from bench.runner.machine import Machine, check_machine
from bench.runner.session import (
    Session,
    page_state,
    prepare_session,
    run_session,
    summary,
)
from bench.store import Store
from bench.store.store import write_atomically
from bench.tasks import Task, digest
from bench.upkeep.forecast import forecast


def run_command(request: RunRequest, store_root: Path, machine: Machine, dry_run: bool) -> int:
    """Exit code 0 if every goal is done or skipped for a reason, 1 otherwise, 130 if it was stopped."""
    check_machine(machine)
    store, plan, goals = prepare_session(request, store_root, print, step_progress)
    if dry_run:
        _show_plan(store, plan, goals)
        return _refuse(plan, request)
    try:
        session = run_session(request, store, plan, goals, machine, view())
    except KeyboardInterrupt:  # typer would end without a word
        print("stopped at once; the same command goes on from here")
        return 130
    return _tell(session, request, store)


def _show_plan(store: Store, plan: Plan, goals: list[Task]) -> None:
    rows = summary(store, goals)
    print(f"{'stage':<22}{'done':>7}{'to run':>8}")
    for stage, done, todo in rows:
        print(f"{stage:<22}{done:>7}{todo:>8}")
    print(f"{'all':<22}{sum(row[1] for row in rows):>7}{sum(row[2] for row in rows):>8}")
    expected = forecast(store, missing(store, goals).values())
    if expected.known + expected.unknown:
        hours, gpu_hours = expected.seconds / 3600, expected.gpu_seconds / 3600
        print(
            f"expected: {hours:.2f} h of one CPU slot, {gpu_hours:.2f} GPU h, {expected.bytes / 1e9:.2f} GB, "
            f"as {expected.known} tasks like those in the store; "
            f"{expected.unknown} of a kind that was never measured here"
        )
        print(f"free on the disk of the store: {shutil.disk_usage(store.root).free / 1e9:.1f} GB")
    for goal in goals:
        print(f"{'done  ' if store.done(goal.key) else 'to run'}  {goal.key[:12]}  {goal.title}")
    for reason, count in _reasons(plan).items():
        print(f"skipped  {count} cells: {reason}")


def _tell(session: Session, request: RunRequest, store: Store) -> int:
    outcome, plan = session.outcome, session.plan
    print(_leaderboard(session, store), end="")
    for key, reason in outcome.failed.items():
        print(f"FAILED {plan.nodes[key].title}: {reason}\n  bench log {key[:12]} --store {store.root}")
    if session.page is not None:
        print(f"\nleaderboard: {session.page}")
    if outcome.drained:
        return 130
    refused = _refuse(plan, request)
    return 1 if outcome.failed or outcome.blocked else refused


def _leaderboard(session: Session, store: Store) -> str:
    """The leaderboard for this terminal; the text of the last run again where that run did the same work."""
    from rich.console import Console

    console = Console()
    terminal = [console.width, console.is_terminal, console.color_system, console.encoding]
    state = digest([page_state(store, session.plan), terminal])
    path = store.root / "runs" / "leaderboard"
    if session.outcome.ran == 0 and path.exists():
        kept, _, text = path.read_text(encoding="utf-8").partition("\n")
        if kept == state:
            return text
    with console.capture() as captured:
        registry.load_page("terminal")(collect(session.plan, store), console)
    write_atomically(path, f"{state}\n{captured.get()}")
    return captured.get()


def _refuse(plan: Plan, request: RunRequest) -> int:
    """Tell which cells were asked for by name and cannot be; 1 if there are any."""
    sentences = _asked_for_by_name(plan, request)
    for sentence in sentences:
        print(sentence)
    return 1 if sentences else 0


def _reasons(plan: Plan) -> dict[str, int]:
    counted: dict[str, int] = {}
    for cell in plan.skipped:
        counted[cell.reason] = counted.get(cell.reason, 0) + 1
    return counted


def _asked_for_by_name(plan: Plan, request: RunRequest) -> list[str]:
    """Methods that were named and can be in no cell; and pairs that were both named and cannot be."""
    planned = [labels for key in plan.goals if (labels := plan.nodes[key].labels)]
    alone: dict[str, str] = {}
    for kind, named in (("generator", request.generators), ("detector", request.detectors)):
        possible = {getattr(labels, kind) for labels in planned}
        for cell in plan.skipped if named is not None else ():
            name = getattr(cell.labels, kind)
            if name != NONE and name not in possible:
                alone[name] = f"{name} was asked for by name and cannot be: {cell.reason}"
    if request.generators is None or request.detectors is None:
        return list(alone.values())
    pairs = {(labels.generator, labels.detector) for labels in planned}
    refused = {}
    for cell in plan.skipped:
        pair = (cell.labels.generator, cell.labels.detector)
        if NONE not in pair and pair not in pairs and not alone.keys() & set(pair):
            refused[pair] = f"{pair[1]} with {pair[0]} was asked for by name and cannot be: {cell.reason}"
    return [*alone.values(), *refused.values()]
