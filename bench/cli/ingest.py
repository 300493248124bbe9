"""`bench ingest`: take in what was made elsewhere, now, so that the folder may go afterwards."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.progress import step_progress, view
from bench.data.fingerprint import Digests
from bench.data.layout import Dataset, find_dataset
from bench.data.split import make_split
from bench.data.split_file import load_split
from bench.errors import BenchError
from bench.ingestion.generated import GeneratedItem, scan_generated
from bench.ingestion.predictions import Target, scan_predictions
from bench.methods import registry
from bench.planning.ingested import register
from bench.planning.prepare import prepare
from bench.runner.machine import Machine, run_tasks
from bench.stages.generator import ANY
from bench.stages.ingest import DetectorIngest, GeneratorIngest
from bench.store import Store, open_store
from bench.store.store import check_writable, write_atomically
from bench.tasks import Task, digest


def ingest_command(
    source: Path,
    generator: str | None,
    detector: str | None,
    data: Path | None,
    split: str | None,
    seed: int,
    store_root: Path,
) -> None:
    """Validate the folder against the data set, copy it into the store, register it under its name."""
    if (generator is None) == (detector is None):
        raise BenchError("name what is ingested: either --generator NAME or --detector NAME")
    if data is None:
        raise BenchError("--data DIR is missing: the data set for which this was made")
    name = generator or detector or ""
    kind = "generator" if generator else "detector"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise BenchError(f"'{name}' is no name: use letters, digits, '_', '-' and '.'")
    if name in registry.names(kind):
        raise BenchError(f"'{name}' is a built-in {kind}; choose another name for what was made elsewhere")
    if not source.is_dir():
        raise BenchError(f"the folder {source} does not exist; --from names the folder that holds the files")
    store = open_store(store_root, create=True)
    check_writable(store)
    if kind == "generator":
        tasks, registered = ingested_images(store, find_dataset(data), source, name)
    else:
        tasks, registered = ingested_predictions(store, data, split, seed, source, name)
    about = {"plan": None, "command": f"bench ingest --{kind} {name}"}
    outcome = run_tasks(store, tasks, Machine(), view(), about)
    if outcome.failed:
        raise BenchError(next(iter(outcome.failed.values())))
    if outcome.drained:
        raise KeyboardInterrupt
    register(store, "generator" if generator else "detector", name, registered)
    print(f"ingested as {name}: bench run --protocol mvtec_supervised --data {data} --{kind}s {name}")


def ingested_images(
    store: Store, dataset: Dataset, source: Path, name: str
) -> tuple[list[Task], dict[str, Any]]:
    defects = {category.name: tuple(category.defects) for category in dataset.categories}
    scan = scan_generated(source, defects)
    if scan.empty:
        print(f"left out {len(scan.empty)} images whose mask is empty, the first: {scan.empty[0].image}")
    digests = Digests(store.root / "sources" / "digests.json")
    groups: dict[tuple[str, str], list[GeneratedItem]] = {}
    for item in scan.items:
        groups.setdefault((item.category, item.defect), []).append(item)
    registered: dict[str, Any] = {}
    for (category, defect), items in groups.items():
        rows = [_paths(item) for item in items]
        files = [[digests.of(Path(path)) if path else None for path in row.values()] for row in rows]
        content = digest(files)
        _note(store, "generated", content, rows)
        registered.setdefault(category, {})[defect] = {
            "category": category,
            "defect": defect,
            "name": name,
            "content": content,
            "count": len(items),
        }
    digests.save()
    missing = [
        f"{category}/{defect}"
        for category, types in defects.items()
        for defect in types
        if not {defect, ANY} & registered.get(category, {}).keys()
    ]
    if missing:
        print(f"note: no images for {', '.join(missing[:5])}{' and more' if len(missing) > 5 else ''}")
    tasks = [GeneratorIngest.task(params) for types in registered.values() for params in types.values()]
    return tasks, registered


def ingested_predictions(
    store: Store, data: Path, rule: str | None, seed: int, source: Path, name: str
) -> tuple[list[Task], dict[str, Any]]:
    rule = rule or "first-third@1"
    prepared = prepare(
        data,
        store,
        categories=None,
        rule=rule,
        shots=None,
        seeds=[seed],
        pinned=None,
        resolution=256,
        progress=step_progress("reading the data set"),
    )
    dataset = prepared.dataset
    by_file = Path(rule).suffix in (".toml", ".json")
    random = rule.partition("@")[0] == "random"
    split = (
        load_split(dataset, Path(rule)) if by_file else make_split(dataset, rule, seed if random else None)
    )
    defects = {category.name: tuple(category.defects) for category in dataset.categories}
    targets = [
        Target(category.name, defect, item.stem)
        for category in split.categories
        for item, defect in category.test_items
    ]
    scan = scan_predictions(source, targets, defects)
    contents = {category.name: category.test.digest for category in prepared.splits[seed].categories}
    registered: dict[str, Any] = {}
    for category in defects:
        rows = [row for row, target in enumerate(targets) if target.category == category]
        told = {
            "maps": None if scan.maps is None else [str(scan.maps[row].absolute()) for row in rows],
            "scores": None if scan.scores is None else [float(scan.scores[row]) for row in rows],
            "predicted": None if scan.predicted is None else [scan.predicted[row] for row in rows],
        }
        files = [digest_of_files(told["maps"] or ()), told["scores"], told["predicted"]]
        content = digest(files)
        _note(store, "predictions", content, told)
        registered[category] = {
            "category": category,
            "name": name,
            "content": content,
            "test": contents[category],
            "classes": list(defects[category]),
            "gives": [what for what, value in told.items() if value is not None],
        }
    return [DetectorIngest.task(params) for params in registered.values()], registered


def digest_of_files(paths: Any) -> list[str]:
    """sha256 of each file, in order."""
    digests = Digests()
    return [digests.of(Path(path)) for path in paths]


def _paths(item: GeneratedItem) -> Mapping[str, str | None]:
    return {
        "image": str(item.image.absolute()),
        "mask": None if item.mask is None else str(item.mask.absolute()),
    }


def _note(store: Store, kind: str, content: str, value: Any) -> None:
    write_atomically(store.root / "sources" / f"{kind}-{content[:32]}.json", json.dumps(value))
