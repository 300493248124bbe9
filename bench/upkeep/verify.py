"""Is what lies in the store what was written, and does it still score the same?"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.record.record import Record, read_records
from bench.runner.execute import failure_of, run_stage
from bench.runner.jobs import Job
from bench.stages import STAGES, stage_class
from bench.store import Store
from bench.store.integrity import damage


def damaged_tasks(store: Store, *, recompute: bool = False) -> tuple[int, dict[str, str]]:
    """How many tasks were read, and the key of each damaged one with what is wrong with it.

    Every file is hashed again; with `recompute` scores are also computed again from what is stored.
    """
    keys = [key for key in _keys(store) if not store.dropped(key)]
    faults = {key: fault for key in keys if (fault := damage(store, key))}
    for key in keys if recompute else ():
        if key not in faults and _can_be_scored_again(store, key):
            fault = _scores_differ(store, key)
            if fault:
                faults[key] = fault
    return len(keys), faults


def remove_damaged(store: Store, key: str, fault: str) -> None:
    """Take a damaged task out, and leave a note by which the next run that rests on it makes it again."""
    try:
        definition = store.definition(key)
    except (OSError, ValueError):
        definition = {}
    store.remove(key)
    why = BenchError(f"it was damaged ({fault}) and removed by `bench verify`; run the same command again")
    store.record_failure(key, {**failure_of(why, definition, ""), "damaged": True})


def _keys(store: Store) -> Iterator[str]:
    """Every task folder, also one whose manifest is gone."""
    for shard in sorted((store.root / "tasks").iterdir()):
        yield from sorted(entry.name for entry in shard.iterdir())


def _can_be_scored_again(store: Store, key: str) -> bool:
    """Whether the task is a score that this version would make in the same way."""
    definition = store.definition(key)
    stage = definition["stage"]
    if not (store.out(key) / "records.jsonl").exists() or stage not in STAGES:
        return False
    return stage_class(stage).version == definition["version"]


def _scores_differ(store: Store, key: str) -> str:
    """Score again from the stored predictions or features and compare every record."""
    with tempfile.TemporaryDirectory() as aside:
        job = Job(key, store.definition(key), str(store.root), run="verify", env="", commit="")
        try:
            run_stage(job, store, Path(aside), lambda *progress: None)
        except (OSError, BenchError) as error:
            return f"it cannot be scored again: {error}"
        finally:
            shutil.rmtree(store.scratch(key), ignore_errors=True)
        before, after = _records(store.out(key)), _records(Path(aside))
    changed = [old.metric for old, new in zip(before, after, strict=False) if old != new]
    if len(before) != len(after) or changed:
        return f"scored again, {changed[0] if changed else 'the number of records'} differs"
    return ""


def _records(out: Path) -> list[Record]:
    """All records of a score: by the exact rules, and where it has them in other dialects."""
    files = [out / name for name in ("records.jsonl", "dialects.jsonl")]
    return [record for file in files if file.exists() for record in read_records(file)]
