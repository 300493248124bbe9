"""Make scores again from what is stored, as a worker would, and compare every file with the stored one.

A score that this machine made has the same bytes again. One that was made on another processor, or with other
versions, may differ by rounding: its numbers are compared up to that.
"""

import json
import math
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.runner.execute import DONE, FAILED
from bench.runner.jobs import Event, Job
from bench.runner.local import LocalExecutor
from bench.runner.machine import default_workers
from bench.stages import STAGES, stage_class
from bench.store import Store
from bench.store.environment import environment
from bench.store.integrity import environment_fault
from bench.tasks import digest

ROUNDING, SMALLEST = 1e-4, 1e-6
"""Relative and absolute difference that another processor's float32 networks may make."""
DROPPED_INPUT = "bench gc dropped what they were made from"


@dataclass
class Recomputed:
    """What making scores again has shown."""

    same: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """Key of each task whose files differ to what differs."""
    impossible: dict[str, str] = field(default_factory=dict)
    """Key of each score that cannot be made again here to the reason; that is no damage."""


def recompute(store: Store, keys: Iterable[str]) -> Recomputed:
    """Make those of the tasks again that are derived from stored ones, in workers of their own."""
    result = Recomputed()
    waiting = deque(key for key in keys if _is_derived(store, key))
    executor = LocalExecutor(default_workers(), len(environment()["gpus"]))
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
        folders: dict[str, Path] = {}
        try:
            while waiting or folders:
                while waiting and _submit(executor, store, waiting[0], Path(folder), folders, result):
                    waiting.popleft()
                for event in executor.wait(1.0) if folders else ():
                    if event.kind == "ended":
                        aside = folders.pop(event.key)
                        _compare(store, event, aside, result)
                        shutil.rmtree(aside, ignore_errors=True)
        except BaseException:
            executor.close(kill=True)
            raise
        executor.close()
    return result


def _is_derived(store: Store, key: str) -> bool:
    """Whether a task was made from others and is small enough to be kept: a score, or what a score reads."""
    definition = store.definition(key)
    stage = definition["stage"]
    return stage in STAGES and stage_class(stage).payload == "" and bool(definition["inputs"])


def _submit(
    executor: LocalExecutor,
    store: Store,
    key: str,
    folder: Path,
    folders: dict[str, Path],
    result: Recomputed,
) -> bool:
    """Begin one task, or say why it cannot be; false where no worker is free."""
    definition, manifest = store.definition(key), store.manifest(key)
    on_gpu = manifest.gpu_seconds > 0
    stage = definition["stage"]
    if stage_class(stage).version != definition["version"]:
        result.impossible[key] = "another version of DefectBench made them"
    elif any(not store.done(used) for _, used in definition["inputs"]):
        result.impossible[key] = DROPPED_INPUT
    elif on_gpu and not executor.gpus:
        result.impossible[key] = "they were made on a GPU, and this machine has none"
    elif executor.slots(gpu=on_gpu) < 1:
        return False
    else:
        aside = folder / key
        aside.mkdir()
        folders[key] = aside
        threads = _threads(store, manifest.env)
        job = Job(
            key,
            definition,
            str(store.root),
            run=f"verify-{folder.name}",
            env="",
            commit="",
            threads=threads,
            aside=str(aside),
        )
        executor.submit(job, gpu=on_gpu)
    return True


def _compare(store: Store, event: Event, aside: Path, result: Recomputed) -> None:
    key = event.key
    if event.exit == FAILED and (aside / "failure.json").exists():
        failure = json.loads((aside / "failure.json").read_text())
        if not all(store.done(used) for _, used in store.definition(key)["inputs"]):
            result.impossible[key] = DROPPED_INPUT
        elif failure["kind"] == "WeightsMissingError":
            result.impossible[key] = "weights that they need are missing here"
        else:
            result.faults[key] = f"it cannot be scored again: {failure['error']}"
    elif event.exit != DONE:
        result.impossible[key] = "memory, disk or time did not suffice to make them again"
    elif store.dropped(key):
        result.impossible[key] = DROPPED_INPUT
    elif fault := _difference(store.out(key), aside / "out", exact=_is_of_this_machine(store, key)):
        result.faults[key] = fault
    else:
        result.same += 1


def _is_of_this_machine(store: Store, key: str) -> bool:
    """Whether the same processor and the same versions made the task, so that its bytes must be the same."""
    env = store.manifest(key).env
    return env == digest(environment(_threads(store, env)))[:16]


def _threads(store: Store, env: str) -> int:
    """With how many threads a task of this environment ran."""
    if environment_fault(store, env):
        return 1
    facts = json.loads((store.root / "env" / f"{env}.json").read_text())
    threads = facts.get("torch", {}).get("threads a task", 1) if isinstance(facts.get("torch"), dict) else 1
    return threads if type(threads) is int and 0 < threads < 1024 else 1


def _difference(stored: Path, again: Path, *, exact: bool) -> str:
    """What differs between two outputs, or an empty text."""
    names = [
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (stored, again)
    ]
    if odd := sorted(names[0] ^ names[1]):
        return f"scored again, {odd[0]} is {'not made' if odd[0] in names[0] else 'made too'}"
    for name in sorted(names[0], key=lambda name: (name != "records.jsonl", name)):
        before, after = stored / name, again / name
        if before.read_bytes() != after.read_bytes() and (exact or not _are_close(before, after)):
            return f"scored again, {_differing_metric(before, after) or name} differs"
    return ""


def _differing_metric(before: Path, after: Path) -> str:
    """The first metric whose record differs, where these are records."""
    if before.suffix != ".jsonl":
        return ""
    for old, new in zip(before.read_bytes().splitlines(), after.read_bytes().splitlines(), strict=False):
        if old != new:
            return str(json.loads(new).get("metric", ""))
    return "the number of records"


def _are_close(before: Path, after: Path) -> bool:
    """Whether two files hold the same but for rounding."""
    try:
        if before.suffix == ".npy":
            one, other = (np.load(path, allow_pickle=False) for path in (before, after))
            return one.dtype == other.dtype and _arrays_are_close(one, other)
        if before.suffix in (".json", ".jsonl"):
            return _values_are_close(_json_of(before), _json_of(after))
    except (ValueError, OSError, RecursionError):
        return False
    return False


def _json_of(path: Path) -> Any:
    text = path.read_bytes()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def _arrays_are_close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=ROUNDING, atol=SMALLEST, equal_nan=True)


def _values_are_close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=SMALLEST)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_values_are_close(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_values_are_close, one, other))
    return type(one) is type(other) and one == other
