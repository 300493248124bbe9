"""Decode every file of a data set and list all that is wrong with it, at once."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.data.fingerprint import Digests
from bench.data.images import (
    decode_depth,
    decode_image,
    decode_mask_values,
    file_bytes,
    is_turned,
)
from bench.data.layout import GOOD, Category, Dataset, Item
from bench.data.vanishing import resolution_that_keeps, vanished
from bench.errors import BenchError
from bench.metrics.masks import binarise_mask
from bench.parallel import in_order

ERRORS: Mapping[str, str] = {
    "unreadable": "a file that cannot be decoded",
    "mask-size": "a mask (or depth map) of another size than its image",
    "missing-mask": "a defect image without a mask",
    "too-few-images": "a defect type with fewer than 2 images",
    "no-normal-images": "no images in train/good",
    "no-defects": "a category without any defect image",
}
"""Kinds on which `bench run` stops."""
WARNINGS: Mapping[str, str] = {
    "few-images": "a defect type with 2 images: a third of them is less than one",
    "no-normal-test-images": "no images in test/good",
    "missing-depth": "an image without a depth map among images that have one",
    "mask-without-image": "a mask whose image is missing",
    "empty-mask": "a mask without a defect",
    "vanishing-mask": "a defect type with masks of which nothing is left at the resolution of the run",
    "full-mask": "a mask that covers the whole image",
    "mask-values": "a mask with values between 0 and 255",
    "mask-ids": "a mask whose values look like class ids",
    "empty-folder": "a folder without images",
    "duplicate-stem": "two images of one folder with one stem",
    "duplicate-image": "images with the same bytes",
    "exif-orientation": "an image that viewers show turned",
    "stray-file": "a file or folder that is not part of the layout",
}
"""Kinds of which `bench run` warns, in its report too."""


@dataclass(frozen=True)
class Problem:
    """One fault of a data set."""

    severity: Literal["error", "warning"]
    kind: str
    """A key of `ERRORS` or `WARNINGS`."""
    category: str
    """Empty for the data set as a whole."""
    path: str
    """Relative to the data set's folder, with forward slashes."""
    message: str
    """One sentence; begins with the path."""


@dataclass(frozen=True)
class Report:
    """All that was found, in the order of the data set."""

    images: int
    problems: tuple[Problem, ...]
    brightness: Mapping[str, float]
    """Mean value of each image that can be read, 0..255, by its path as a problem has it."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "warning")

    def counts(self) -> dict[str, int]:
        """Problems by kind, errors first."""
        counted = Counter(p.kind for p in self.problems)
        return {kind: counted[kind] for kind in (*ERRORS, *WARNINGS) if counted[kind]}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Report.from_dict` reads them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Report":
        problems = tuple(Problem(**problem) for problem in values["problems"])
        return cls(values["images"], problems, values["brightness"])


def check_dataset(
    dataset: Dataset,
    progress: Callable[..., None] | None = None,
    workers: int | None = None,
    digests: Digests | None = None,
    resolution: int = 256,
) -> Report:
    """Decode every file on `workers` threads and report every problem. Raises nothing for bad files.

    `digests` learns the sha256 of each file as it is read, so that a fingerprint afterwards reads nothing;
    save it yourself. `resolution` is that of the run: masks of which nothing is left there are reported.
    """
    check = _Check(dataset.root, digests or Digests(), resolution)
    parts = [
        (category, defect, item)
        for category in dataset.categories
        for defect, items in _parts(category)
        for item in items
    ]
    problems = [check.problem("stray-file", "", p, "is no category of the layout") for p in dataset.strays]
    for category in dataset.categories:
        problems += check.structure(category)
    for done, item_problems in enumerate(in_order(lambda part: check.item(*part), parts, workers), 1):
        problems += item_problems
        if progress is not None:
            progress(done, len(parts))
    problems += check.vanished(dataset)
    problems += check.duplicates(parts)
    order = {c.name: i for i, c in enumerate(dataset.categories)}
    problems.sort(key=lambda p: order.get(p.category, -1))
    return Report(len(parts), tuple(problems), check.brightness)


def relative_name(root: Path, path: Path) -> str:
    """The path without the root, with forward slashes, and with bytes that are no UTF-8 spelt out: every
    message can be printed."""
    name = path.relative_to(root).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _parts(category: Category) -> Iterator[tuple[str, tuple[Item, ...]]]:
    yield "train/good", category.train_good
    yield "test/good", category.test_good
    for defect, items in category.defects.items():
        yield f"test/{defect}", items


class _Check:
    """The single checks."""

    def __init__(self, root: Path, digests: Digests, resolution: int) -> None:
        self.resolution = resolution
        self.root = root
        self.digests = digests
        self.brightness: dict[str, float] = {}
        self.kept_at: dict[Path, int] = {}
        """Mask files of which nothing is left at `resolution`, and the least one at which something is."""

    def relative(self, path: Path) -> str:
        return relative_name(self.root, path)

    def problem(self, kind: str, category: str, path: Path, what: str) -> Problem:
        relative = self.relative(path)
        severity: Literal["error", "warning"] = "error" if kind in ERRORS else "warning"
        return Problem(severity, kind, category, relative, f"{relative} {what}")

    def structure(self, category: Category) -> Iterator[Problem]:
        """What the listing shows without reading a file."""
        name, folder = category.name, category.folder
        if not category.train_good:
            yield self.problem(
                "no-normal-images", name, folder / "train" / GOOD, "has no images; add normal images"
            )
        if not category.test_good:
            what = "has no images; scores that compare with normal images are undefined"
            yield self.problem("no-normal-test-images", name, folder / "test" / GOOD, what)
        if not category.defects:
            yield self.problem(
                "no-defects", name, folder / "test", "has no defect images; add some or remove it"
            )
        for path in category.empty_folders:
            if path.name != GOOD:
                yield self.problem("empty-folder", name, path, "has no images and is left out")
        for defect, items in category.defects.items():
            yield from self._type(category, defect, items)
        for part, items in _parts(category):
            stems = Counter(item.stem for item in items)
            for item in items:
                if stems[item.stem] > 1:
                    what = f"shares its stem with another image of {part}; rename one"
                    yield self.problem("duplicate-stem", name, item.path, what)
        for path in category.lone_masks:
            yield self.problem("mask-without-image", name, path, "has no image of its stem and is ignored")
        for path in category.strays:
            yield self.problem("stray-file", name, path, "is not part of the layout and is ignored")

    def _type(self, category: Category, defect: str, items: tuple[Item, ...]) -> Iterator[Problem]:
        name, folder = category.name, category.folder / "test" / defect
        if len(items) < 2:
            what = "has 1 image, and a split needs 2; add images or remove the type"
            yield self.problem("too-few-images", name, folder, what)
        elif len(items) < 3:
            yield self.problem("few-images", name, folder, "has 2 images; one of them is its whole base")
        unmasked = [item for item in items if item.mask_path is None]
        if len(unmasked) == len(items) > 1:
            what = f"has {len(items)} images and no masks at all; add {category.name}/ground_truth/{defect}"
            yield self.problem("missing-mask", name, folder, what)
        else:
            for item in unmasked:
                what = f"has no mask; add {item.stem}_mask.png to its ground truth, or move the image"
                yield self.problem("missing-mask", name, item.path, what)
        if any(item.depth_path for item in items):
            for item in items:
                if item.depth_path is None:
                    yield self.problem("missing-depth", name, item.path, "has no depth map in xyz")

    def item(self, category: Category, part: str, item: Item) -> list[Problem]:
        """What reading an image, its mask and its depth map shows."""
        name = category.name
        problems: list[Problem] = []

        def read(path: Path | None, decode: Callable[[bytes, Path], np.ndarray]) -> np.ndarray | None:
            if path is None:
                return None
            try:
                data = file_bytes(path)
                self.digests.of(path, data)
                values = decode(data, Path(self.relative(path)))
            except BenchError as error:
                message = str(error)
                problems.append(Problem("error", "unreadable", name, self.relative(path), message))
                return None
            if path is item.path and is_turned(data):
                what = "has an EXIF orientation, which is not applied; save it upright"
                problems.append(self.problem("exif-orientation", name, path, what))
            return values

        image = read(item.path, decode_image)
        if image is not None:
            self.brightness[self.relative(item.path)] = float(image.mean())
        mask = read(item.mask_path, decode_mask_values)
        depth = read(item.depth_path, decode_depth)
        for path, values in ((item.mask_path, mask), (item.depth_path, depth)):
            if path and values is not None and image is not None and values.shape != image.shape[:2]:
                ours, theirs = (f"{shape[1]}x{shape[0]}" for shape in (values.shape, image.shape))
                what = f"is {ours}, but its image {theirs}; make them equal"
                problems.append(self.problem("mask-size", name, path, what))
        if item.mask_path is not None and mask is not None:
            faults = _mask_faults(mask)
            problems += (self.problem(kind, name, item.mask_path, what) for kind, what in faults)
            keeps = resolution_that_keeps(binarise_mask(mask), self.resolution)
            if keeps is not None:
                self.kept_at[item.mask_path] = keeps
        return problems

    def vanished(self, dataset: Dataset) -> Iterator[Problem]:
        """Types that lose masks at the resolution of the run."""
        for category in dataset.categories:
            for folder, what in vanished(category, self.resolution, self.kept_at):
                yield self.problem("vanishing-mask", category.name, folder, what)

    def duplicates(self, parts: list[tuple[Category, str, Item]]) -> Iterator[Problem]:
        """Images with the same bytes, one problem a group, named at its second image."""
        groups: dict[str, list[tuple[Category, str, Item]]] = {}
        for part in parts:
            try:
                groups.setdefault(self.digests.of(part[2].path), []).append(part)
            except BenchError:
                continue  # `item` has reported it
        for (_, first_side, first), *others in groups.values():
            for category, side, item in others:
                what = f"has the same bytes as {self.relative(first.path)}"
                if first_side.startswith("train") != side.startswith("train"):
                    what += ", which puts one image in training and in test"
                yield self.problem("duplicate-image", category.name, item.path, what)


def _mask_faults(values: np.ndarray) -> Iterator[tuple[str, str]]:
    present = np.flatnonzero(np.bincount(values.ravel()))
    top = 255 if present[-1] <= 255 else 65535
    mask = binarise_mask(values)
    if not mask.any():
        yield "empty-mask", "marks no pixel as defect; draw the defect or move the image"
    elif mask.all():
        yield "full-mask", "marks every pixel as defect; is it inverted?"
    if set(present.tolist()) <= {0, top}:
        return
    if present[-1] <= top // 2:
        yield "mask-ids", f"has no value above {present[-1]}, as class ids; all but 0 is taken as defect"
    else:
        between = len(present) - int(present[0] == 0) - int(present[-1] == top)
        yield (
            "mask-values",
            f"holds {between} values between 0 and {top}; above {top // 2} is taken as defect",
        )
