"""`bench verify`: is what lies in the store what was written, and does it still score the same?"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError
from bench.records import read_records
from bench.run.execute import failure_of, run_stage
from bench.run.jobs import Job
from bench.store import Store, open_store
from bench.store.store import file_sha256
from bench.tasks import digest, key_of


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
            if key not in damaged and (store.out(key) / "records.jsonl").exists():
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


def damage(store: Store, key: str) -> str:
    """What is wrong with a stored task, or an empty text."""
    folder = store.folder(key)
    try:
        manifest = store.manifest(key)
        definition = json.loads((folder / "task.json").read_text())
        named = key_of(definition)
    except (BenchError, OSError, ValueError, TypeError):
        return "its manifest or definition cannot be read"
    if named != key or manifest.key != key:
        return "its definition is not that of its key"
    if manifest.content != digest({"files": manifest.files, "inputs": manifest.inputs}):
        return "its manifest was changed"
    for name, told in manifest.files.items():
        path = folder / "out" / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != told["size"] or file_sha256(path) != told["sha256"]:
            return f"{name} was changed"
    written = {
        path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*") if path.is_file()
    }
    extra = sorted(written - manifest.files.keys())
    if extra:
        return f"{extra[0]} was added"
    for used, content in manifest.inputs.items():
        with suppress(BenchError):  # an input that cannot be read is damaged itself, and told as that
            if store.done(used) and store.manifest(used).content != content:
                return f"its input {used[:12]} has other content than the one it was made from"
    return ""


def _keys(store: Store) -> Iterator[str]:
    """Every task folder, also one whose manifest is gone."""
    for shard in sorted((store.root / "tasks").iterdir()):
        yield from sorted(entry.name for entry in shard.iterdir())


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
        before = list(read_records(store.out(key) / "records.jsonl"))
        after = list(read_records(Path(aside) / "records.jsonl"))
    changed = [old.metric for old, new in zip(before, after, strict=False) if old != new]
    if len(before) != len(after) or changed:
        return f"scored again, {changed[0] if changed else 'the number of records'} differs"
    return ""
