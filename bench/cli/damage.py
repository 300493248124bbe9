"""The sentences about stored results and plans that are not as they were written."""

import shlex
import sys
from pathlib import Path

from bench.results.of_store import unreadable_plans
from bench.results.run import Results
from bench.store import Store

_NAMED = 3


def print_damage(store_root: Path | None, *results: Results) -> int:
    """Print it, where there are such results, on standard error; returns the exit code, 0 or 1."""
    damaged = {name: fault for result in results for name, fault in result.damaged.items()}
    if not damaged:
        return 0
    name, fault = next(iter(sorted(damaged.items())))
    others = f", and {len(damaged) - 1} more like it" if len(damaged) > 1 else ""
    where = "" if store_root is None else f" --store {shlex.quote(str(store_root))}"
    print(
        f"bench: damaged in the store: {name} ({fault}){others}; no number is taken from it; "
        f"`bench verify --remove{where}` takes it out, and the same `bench run` or `bench score` makes it "
        "again",
        file=sys.stderr,
    )
    return 1


def print_unreadable_plans(store: Store) -> None:
    """Name, in one line on standard error, the plans whose results no page can show."""
    paths = unreadable_plans(store)
    if not paths:
        return
    names = ", ".join(f"runs/{path.name}" for path in paths[:_NAMED])
    others = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    print(
        f"bench: what {names}{others} asked for may be missing on the pages: damaged, or written by another "
        f"version (`bench verify --store {store.root}` says why); give the commands of those runs again",
        file=sys.stderr,
    )
