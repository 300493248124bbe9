"""The tasks that hold what was made elsewhere; their keys name the content of its files, not their paths."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.fingerprint import Digests
from bench.data.layout import Dataset
from bench.data.problems import Problem, sentences
from bench.data.split import Split, make_split
from bench.data.split_file import load_split
from bench.ingestion.generated import GeneratedItem, GeneratedScan, scan_generated
from bench.ingestion.predictions import PredictionScan, Target, scan_predictions
from bench.planning.prepare import PreparedData
from bench.stages.generator import ANY
from bench.stages.ingest import DetectorIngest, GeneratorIngest
from bench.store import Store
from bench.store.store import write_atomically
from bench.tasks import Task, digest

_MOST_NAMES = 5


@dataclass(frozen=True)
class IngestedContent:
    """What a folder holds, as tasks."""

    tasks: tuple[Task, ...]
    params: Mapping[str, Any]
    """Parameters of the tasks by category (images: by category and defect); plans rest on these."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: what was left out, and what is missing."""
    warnings: tuple[Problem, ...] = ()
    """What the files say and reading does not take."""

    def notes_of(self, ungrouped: bool = False) -> tuple[str, ...]:
        """The notes, and the warnings: one sentence per kind and folder, or each."""
        return (*self.notes, *(f"warning: {sentence}" for sentence in sentences(self.warnings, ungrouped)))


def ingest_images(
    store: Store,
    dataset: Dataset,
    source: Path,
    name: str,
    then: str = "ingest again",
    resolution: int = 256,
) -> IngestedContent:
    """Check the generated images in `source`, and note in the store where they lie.

    then: what to do when files that were refused are mended. resolution: that of the run, or of most; masks
    of which nothing is left there are warned of.
    """
    defects = {category.name: tuple(category.defects) for category in dataset.categories}
    scan = scan_generated(source, defects, then, resolution)
    digests = Digests(store.root / "sources" / "digests.json")
    groups: dict[tuple[str, str], list[GeneratedItem]] = {}
    for item in scan.items:
        groups.setdefault((item.category, item.defect), []).append(item)
    params: dict[str, dict[str, Any]] = {}
    for (category, defect), items in groups.items():
        rows = [_paths(item) for item in items]
        files = [[digests.of(Path(path)) if path else None for path in row.values()] for row in rows]
        content = digest(files)
        _note_sources(store, "generated", content, rows)
        params.setdefault(category, {})[defect] = {
            "category": category,
            "defect": defect,
            "name": name,
            "content": content,
            "count": len(items),
        }
    digests.save()
    tasks = [GeneratorIngest.task(one) for types in params.values() for one in types.values()]
    return IngestedContent(tuple(tasks), params, _notes_on_images(scan, defects, params), scan.warnings)


def _notes_on_images(
    scan: GeneratedScan, defects: Mapping[str, Sequence[str]], params: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    notes = list(_left_out(scan.left_out, defects))
    if scan.empty:
        notes.append(
            f"left out {len(scan.empty)} images whose mask is empty, the first: {scan.empty[0].image}"
        )
    missing = [
        f"{category}/{defect}"
        for category, types in defects.items()
        for defect in types
        if not {defect, ANY} & params.get(category, {}).keys()
    ]
    if missing:
        more = " and more" if len(missing) > _MOST_NAMES else ""
        notes.append(f"note: no images for {', '.join(missing[:_MOST_NAMES])}{more}")
    return tuple(notes)


def _left_out(names: Sequence[str], categories: Collection[str]) -> Iterator[str]:
    if names:
        listing = ", ".join(names[:_MOST_NAMES]) + ", ..." * (len(names) > _MOST_NAMES)
        present = ", ".join(list(categories)[:_MOST_NAMES]) + ", ..." * (len(categories) > _MOST_NAMES)
        yield f"left out {listing}: the data set has {present}"


def ingest_predictions(
    store: Store,
    data: PreparedData,
    rule: str,
    seed: int,
    source: Path,
    name: str,
    then: str = "ingest again",
) -> IngestedContent:
    """Check the outputs of a detector in `source` for the test images of a split; note where they lie."""
    dataset = data.dataset
    targets = [
        Target(category.name, defect, item.stem)
        for category in _split(dataset, rule, seed).categories
        for item, defect in category.test_items
    ]
    defects = {category.name: tuple(category.defects) for category in dataset.categories}
    scan = scan_predictions(source, targets, defects, then)
    test_contents = {category.name: category.test.digest for category in data.splits[seed].categories}
    params: dict[str, Any] = {}
    for category, types in defects.items():
        outputs = _outputs(scan, [row for row, target in enumerate(targets) if target.category == category])
        maps = [Digests().of(Path(path)) for path in outputs["maps"] or ()]
        content = digest([maps, outputs["scores"], outputs["predicted"]])
        _note_sources(store, "predictions", content, outputs)
        params[category] = {
            "category": category,
            "name": name,
            "content": content,
            "test": test_contents[category],
            "classes": list(types),
            "gives": [kind for kind, value in outputs.items() if value is not None],
        }
    tasks = tuple(DetectorIngest.task(one) for one in params.values())
    notes = (*_left_out(scan.left_out, defects), *scan.notes)
    return IngestedContent(tasks, params, notes)


def _split(dataset: Dataset, rule: str, seed: int) -> Split:
    if Path(rule).suffix in (".toml", ".json"):
        return load_split(dataset, Path(rule))
    is_random = rule.partition("@")[0] == "random"
    return make_split(dataset, rule, seed if is_random else None)


def _outputs(scan: PredictionScan, rows: Sequence[int]) -> dict[str, list[Any] | None]:
    """What a folder says of some test images, as plain JSON."""
    return {
        "maps": None if scan.maps is None else [str(scan.maps[row].absolute()) for row in rows],
        "scores": None if scan.scores is None else [float(scan.scores[row]) for row in rows],
        "predicted": None if scan.predicted is None else [scan.predicted[row] for row in rows],
    }


def _paths(item: GeneratedItem) -> Mapping[str, str | None]:
    return {
        "image": str(item.image.absolute()),
        "mask": None if item.mask is None else str(item.mask.absolute()),
    }


def _note_sources(store: Store, kind: str, content: str, files: Any) -> None:
    write_atomically(store.root / "sources" / f"{kind}-{content[:32]}.json", json.dumps(files))
