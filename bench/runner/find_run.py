"""The plan of a run: of the newest, or of one by its name."""

from pathlib import Path
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.planning.plan import Plan, load_plan
from bench.runner.journal import newest_journal, read_journal
from bench.store import Store, open_store


def last_run(store: Store) -> tuple[dict[str, Any], Plan]:
    """The journal and plan of the newest run; BenchError where nothing was run in the store yet."""
    journal = newest_journal(store.root / "runs")
    if journal is None:
        raise BenchError(f"nothing was run in the store {store.root} yet; `bench run` does that")
    return journal, load_plan(store.root / "runs" / journal["plan"])


def plan_of_run(store: Store, run: str) -> Plan:
    """The plan of the one run whose name begins so; BenchError says which runs there are."""
    runs = sorted(path.stem for path in (store.root / "runs").glob("*.json"))
    fitting = [name for name in runs if run and name.startswith(run)]
    if len(fitting) > 1:
        raise BenchError(f"{len(fitting)} runs of {store.root} begin with '{run}': {', '.join(fitting)}")
    if not fitting:
        raise BenchError(did_you_mean("run", run, runs, of=str(store.root)))
    path = store.root / "runs" / f"{fitting[0]}.json"
    journal = read_journal(path)
    if journal is None:
        raise BenchError(f"{path} is damaged, so what the run wanted is not known; name another run")
    if not journal.get("plan"):
        raise BenchError(f"the run {fitting[0]} of {store.root} planned nothing; name another")
    return load_plan(store.root / "runs" / journal["plan"])


def find_plan(name: str, default_root: Path) -> tuple[Store, Plan]:
    """The store and plan that `name` stands for: STORE, STORE@RUN, or a run of the store in `default_root`.

    BenchError where there is no such store or run.
    """
    if Path(name).is_dir():
        store = open_store(Path(name))
        return store, last_run(store)[1]
    root, at, run = name.rpartition("@")
    if not at and not default_root.is_dir():
        raise BenchError(
            f"'{name}' is not a folder of a store, and there is no store {default_root} that it could be a "
            "run of; name a store, STORE@RUN, or a run of --store DIR"
        )
    store = open_store(Path(root) if at else default_root)
    return store, plan_of_run(store, run)
