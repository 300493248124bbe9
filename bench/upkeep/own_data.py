"""Whether what another machine made of real data is what the data of this machine gives."""

import json
import tempfile
from pathlib import Path

from bench.runner.execute import DONE
from bench.runner.jobs import Event, Job
from bench.runner.local import LocalExecutor
from bench.stages.data import DataCache, part_file
from bench.stages.truth import DataTruth
from bench.store import Store
from bench.store.store import file_facts


def differs_from_own_data(store: Store, other: Store, key: str) -> str:
    """What is wrong with a pool or the masks of real data, made again here; "" where the data is not here."""
    definition = other.definition(key)
    params = definition["params"]
    if definition["stage"] not in (DataCache.name, DataTruth.name) or other.dropped(key):
        return ""
    if not part_file(store.root / "sources", str(params.get("content", ""))).exists():
        return ""
    with tempfile.TemporaryDirectory(prefix="bench-merge-") as folder:
        run = f"merge-{Path(folder).name}"
        job = Job(key, definition, str(store.root), run=run, env="", commit="", aside=folder)
        executor = LocalExecutor(1)
        try:
            executor.submit(job, gpu=False)
            events: list[Event] = []
            while not any(event.kind == "ended" for event in events):
                events = executor.wait(1.0)
        except BaseException:
            executor.close(kill=True)
            raise
        executor.close()
        if events[-1].exit != DONE:
            failure = Path(folder) / "failure.json"
            why = json.loads(failure.read_text())["error"] if failure.exists() else "its process ended"
            return f"it could not be held against the data of this machine: {why}"
        if file_facts(Path(folder) / "out") != other.manifest(key).files:
            return "it is not what the data of this machine gives"
    return ""
