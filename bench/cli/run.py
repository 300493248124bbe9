"""`bench run`."""

import shlex
import shutil
from typing import Any

from bench import api
from bench.api_results import RunResult
from bench.cli.progress import terminal_view
from bench.planning.plan import Plan
from bench.runner.driver import missing
from bench.runner.session import summary
from bench.upkeep.forecast import forecast


def run_command(protocol: str, *, dry_run: bool, **options: Any) -> int:
    """Exit code 0 if every goal is done or skipped for a reason, 1 otherwise, 130 if it was stopped."""
    view = terminal_view()
    try:
        result = api.run(protocol, dry_run=dry_run, view=view, **options)
    except KeyboardInterrupt:
        if view.has_begun:  # typer would end without a word
            print("stopped at once; the same command goes on from here")
        raise
    if dry_run:
        _print_plan(result)
    else:
        _print_results(result)
    if result.state == "stopped":
        return 130
    for sentence in result.refused:
        print(sentence)
    return 0 if result.ok else 1


def _print_plan(result: RunResult) -> None:
    store, goals = result.store, result.goals
    rows = summary(store, goals)
    print(f"{'stage':<22}{'done':>7}{'to run':>8}")
    for stage, done, todo in rows:
        print(f"{stage:<22}{done:>7}{todo:>8}")
    print(f"{'all':<22}{sum(row[1] for row in rows):>7}{sum(row[2] for row in rows):>8}")
    expected = forecast(store, missing(store, goals).values())
    if expected.measured + expected.unmeasured:
        hours, gpu_hours = expected.seconds / 3600, expected.gpu_seconds / 3600
        print(
            f"expected: {hours:.2f} h of one CPU slot, {gpu_hours:.2f} GPU h, {expected.bytes / 1e9:.2f} GB, "
            f"as {expected.measured} tasks like those in the store; "
            f"{expected.unmeasured} of a kind that was never measured here"
        )
        print(f"free on the disk of the store: {shutil.disk_usage(store.root).free / 1e9:.1f} GB")
    for goal in goals:
        print(f"{'done  ' if store.done(goal.key) else 'to run'}  {goal.key[:12]}  {goal.title}")
    for reason, count in _reasons(result.plan).items():
        print(f"skipped  {count} cells: {reason}")


def _print_results(result: RunResult) -> None:
    from rich.console import Console

    from bench.runner.terminal_leaderboard import leaderboard_text

    store, plan = result.store, result.plan
    print(leaderboard_text(store, plan, Console(), unchanged=result.ran == 0), end="")
    for key, reason in result.failed.items():
        print(f"FAILED {plan.nodes[key].title}: {reason}")
        print(f"  bench log {key[:12]} --store {shlex.quote(str(store.root))}")
    if result.page is not None:
        print(f"\nleaderboard: {result.page}")


def _reasons(plan: Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cell in plan.skipped:
        counts[cell.reason] = counts.get(cell.reason, 0) + 1
    return counts
