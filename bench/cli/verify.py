"""`bench verify`: is what lies in the store what was written, and does it still score the same?"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.record.record import Record, read_records
from bench.runner.execute import failure_of, run_stage
from bench.runner.jobs import Job
from bench.stages import STAGES, stage_class
from bench.store import Store, open_store
from bench.store.damage import damage


def verify_command(store_root: Path, *, recompute: bool, remove: bool) -> int:
    """0 if every task is as it was written, 1 otherwise (also where damaged ones were removed)."""
    store = open_store(store_root)
    damaged: dict[str, str] = {}
    keys = [key for key in _keys(store) if not store.dropped(key)]
    for key in keys:
        fault = damage(store, key)
        if fault:
            damaged[key] = fault
    if recompute:
        for key in keys:
            if key not in damaged and _can_be_scored_again(store, key):
                fault = _scores_differ(store, key)
                if fault:
                    damaged[key] = fault
    for key, fault in damaged.items():
        print(f"{key}: {fault}")
        if remove:
            _remove(store, key, fault)
    how = "; removed, `bench run` makes them again" if remove and damaged else ""
    print(f"{len(keys)} tasks verified, {len(damaged)} damaged{how}")
    return 1 if damaged else 0


def _remove(store: Store, key: str, fault: str) -> None:
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
            run_stage(job, store, Path(aside), lambda *told: None)
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
