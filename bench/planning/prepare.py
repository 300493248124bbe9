"""From a data folder to the parts that tasks name by their content, with the problems found on the way."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.check import CHECK_VERSION, Report, check_dataset
from bench.data.fingerprint import Digests, dataset_fingerprint, part_content
from bench.data.layout import Category, Dataset, Item, find_dataset
from bench.data.problems import sentences
from bench.data.published_counts import claims, difference, load_counts
from bench.data.shift import brightness_shifts
from bench.data.split import CategorySplit, Split, make_split
from bench.data.split_file import load_split, read_split_file
from bench.errors import BenchError, did_you_mean
from bench.planning.config import CategoryPlan, DataPart, SplitPlan
from bench.store import Store
from bench.store.notes import read_note, write_note

Progress = Callable[..., None]
_SHOWN = 8


@dataclass(frozen=True)
class PreparedData:
    """A checked data set: what it is, and its splits by seed."""

    dataset: Dataset
    fingerprint: str
    splits: Mapping[int, SplitPlan]
    warnings: tuple[str, ...]
    """One sentence per kind and folder."""
    each_warning: tuple[str, ...] = ()
    is_published: bool = False
    """Whether it is the data set whose published counts the protocol names."""


def prepare(
    root: Path,
    store: Store,
    *,
    categories: Sequence[str] | None,
    rule: str,
    shots: int | None,
    seeds: Sequence[int],
    pinned: str | None,
    resolution: int,
    progress: Progress,
) -> PreparedData:
    """Find, check, fingerprint and split a data set, and note in the store where its files lie.

    `pinned` is the text of the published counts that a root which claims to be that data set must have.
    Raises BenchError where a run cannot go on; what only deserves a warning is returned.
    """
    check_rule(rule, shots)
    dataset = find_dataset(root)
    if categories:
        dataset = dataset.select(categories)
    is_published = False
    if pinned is not None:
        counts = load_counts(pinned)
        is_published = claims(dataset, counts)
        wrong = difference(dataset, counts) if is_published else []
        if wrong:
            first = "; ".join(wrong[:_SHOWN]) + f"; and {len(wrong) - _SHOWN} more" * (len(wrong) > _SHOWN)
            raise BenchError(
                f"{root} claims to be MVTec AD and differs from it: {first}; complete it, or rename its "
                "categories if it is another data set"
            )
    digests = Digests(store.root / "sources" / "digests.json")
    fingerprint = dataset_fingerprint(dataset, digests, progress=progress)
    report = _checked(dataset, fingerprint, store, resolution, progress)
    errors = [problem.message for problem in report.errors]
    if errors:
        command = f"`bench data check {shlex.quote(str(root))}`"
        more = f" (and {len(errors) - 1} more; {command} lists all)" if len(errors) > 1 else ""
        raise BenchError(f"{errors[0]}{more}")
    shifts: list[str] = []
    splits = {}
    plans: dict[tuple[str, int | None], SplitPlan] = {}
    for seed in seeds:
        split, drawn_by = _split(dataset, rule, shots, seed)
        if drawn_by not in plans:
            plans[drawn_by] = _split_plan(split, dataset, shots, store, digests)
            shifts += brightness_shifts(split, dataset.root, report.brightness)
        splits[seed] = plans[drawn_by]
    digests.save()
    return PreparedData(
        dataset,
        fingerprint,
        splits,
        (*sentences(report.warnings), *shifts),
        (*sentences(report.warnings, ungrouped=True), *shifts),
        is_published,
    )


def _checked(dataset: Dataset, fingerprint: str, store: Store, resolution: int, progress: Progress) -> Report:
    """The check of the data set, kept in the store under the fingerprint; stray files are looked for anew."""
    path = store.root / "sources" / f"check-{fingerprint[:32]}-{resolution}.json"
    files = sorted(str(item.path) for category in dataset.categories for item in category.items)
    state = {"check": CHECK_VERSION, "files": files, "extra": _extra(dataset)}
    earlier = read_note(path, {"state": dict, "report": dict})
    if earlier is not None and earlier["state"] == state:
        with suppress(LookupError, TypeError):  # damaged
            return Report.from_dict(earlier["report"])
    report = check_dataset(dataset, progress, resolution=resolution)
    if not report.errors:
        write_note(path, {"state": state, "report": report.to_dict()})
    return report


def _extra(dataset: Dataset) -> list[str]:
    """The paths that a check reports beside images: they come and go without changing the fingerprint."""
    extra: list[Path] = list(dataset.strays)
    for category in dataset.categories:
        extra += [*category.strays, *category.lone_masks, *category.empty_folders, *category.normal_masks]
        extra += [mask for mask, _ in category.more_masks]
    return sorted(map(str, extra))


def check_rule(rule: str, shots: int | None) -> None:
    """Refuse a split that can be seen to be wrong before any data is read: BenchError says why."""
    first_third = rule in ("first-third@1", "first-third")
    if shots is not None and not first_third:
        raise BenchError(
            f"--shots takes the first of the first third; it cannot go with the split '{rule}', leave one out"
        )
    if Path(rule).suffix in (".toml", ".json"):
        read_split_file(Path(rule))
    elif not first_third and rule not in ("random@1", "random"):
        raise BenchError(did_you_mean("split", rule, ("first-third", "random", "a .toml or .json file")))


def _split(dataset: Dataset, rule: str, shots: int | None, seed: int) -> tuple[Split, tuple[str, int | None]]:
    """The split of one seed, and what it was drawn by: seeds with the same share one plan."""
    if shots is not None:
        return make_split(dataset, f"shots-{shots}@1"), ("shots", None)
    if rule.partition("@")[0] == "random":
        return make_split(dataset, rule, seed), ("random", seed)
    if Path(rule).suffix in (".toml", ".json"):
        return load_split(dataset, Path(rule)), ("file", None)
    return make_split(dataset, rule), (rule, None)


def _split_plan(
    split: Split, dataset: Dataset, shots: int | None, store: Store, digests: Digests
) -> SplitPlan:
    plans = []
    for part in split.categories:
        category = dataset.category(part.name)
        plans.append(_category_plan(part, category, store, digests))
    return SplitPlan(split.name, str(shots) if shots else "third", tuple(plans))


def _category_plan(part: CategorySplit, category: Category, store: Store, digests: Digests) -> CategoryPlan:
    normal = [(item, "good") for item in part.normal]
    return CategoryPlan(
        name=part.name,
        has_types=category.has_types,
        has_depth=all(item.depth_path is not None for item in category.items),
        has_masks=category.has_masks,
        normal=_part(normal, store, digests),
        base=_part(part.base_items, store, digests),
        test=_part(part.test_items, store, digests),
    )


def _part(pairs: Iterable[tuple[Item, str]], store: Store, digests: Digests) -> DataPart:
    """Describe a part by its content, and note where its files lie on this machine."""
    pairs = list(pairs)
    counts: dict[str, int] = {}
    for _, defect in pairs:
        counts[defect] = counts.get(defect, 0) + 1
    content = part_content(pairs, digests)
    rows = [_row(item, defect) for item, defect in pairs]
    path = store.root / "sources" / f"part-{content[:32]}.json"
    if read_note(path) != rows:
        write_note(path, rows)
    return DataPart(content, counts)


def _row(item: Item, defect: str) -> dict[str, Any]:
    return {
        "defect": defect,
        "stem": item.stem,
        "image": str(item.path.absolute()),
        "mask": None if item.mask_path is None else str(item.mask_path.absolute()),
        "depth": None if item.depth_path is None else str(item.depth_path.absolute()),
    }
