"""The plan of a run by its name."""

import json

from bench.errors import BenchError, did_you_mean
from bench.planning.plan import Plan, load_plan
from bench.store import Store


def plan_of_run(store: Store, run: str) -> Plan:
    """The plan of the one run whose name begins so; BenchError says which runs there are."""
    runs = sorted(path.stem for path in (store.root / "runs").glob("*.json"))
    fitting = [each for each in runs if run and each.startswith(run)]
    if len(fitting) > 1:
        raise BenchError(f"{len(fitting)} runs of {store.root} begin with '{run}': {', '.join(fitting)}")
    if not fitting:
        raise BenchError(did_you_mean("run", run, runs, of=str(store.root)))
    journal = json.loads((store.root / "runs" / f"{fitting[0]}.json").read_text())
    if not journal.get("plan"):
        raise BenchError(f"the run {fitting[0]} of {store.root} planned nothing; name another")
    return load_plan(store.root / "runs" / journal["plan"])
