"""Decode every file of a data set and list all that is wrong with it, at once."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.data.decoding import decode_in_order
from bench.data.fingerprint import Digests
from bench.data.folder import printable
from bench.data.images import decode_depth, picture_image
from bench.data.layout import GOOD, Category, Dataset, Item
from bench.data.mask_file import mask_remarks, mask_values, value_counts
from bench.data.picture import PictureFile, bands_of, is_turned, load_picture
from bench.data.problems import ERRORS, WARNINGS, Problem
from bench.data.remarks import Remark, image_remarks
from bench.data.vanishing import resolution_that_keeps, vanished
from bench.errors import BenchError
from bench.files import file_bytes
from bench.metrics.masks import binarise_mask

CHECK_VERSION = 2
"""Raised where the check finds other problems: reports that runs remember are then made anew."""


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
    decoded = decode_in_order(lambda part: check.item(*part), parts, _files, workers)
    for done, item_problems in enumerate(decoded, 1):
        problems += item_problems
        if progress is not None:
            progress(done, len(parts))
    for category in dataset.categories:
        problems += check.normal_masks(category)
        problems += check.mixed_colours(category)
    problems += check.vanished(dataset)
    problems += check.duplicates(parts)
    order = {c.name: i for i, c in enumerate(dataset.categories)}
    problems.sort(key=lambda p: order.get(p.category, -1))
    return Report(len(parts), tuple(problems), check.brightness)


def relative_name(root: Path, path: Path) -> str:
    """The path without the root, with forward slashes, and with bytes that are no UTF-8 spelt out: every
    message can be printed."""
    return printable(path.relative_to(root).as_posix())


def _files(part: tuple[Category, str, Item]) -> tuple[Path | None, ...]:
    item = part[2]
    return item.path, item.mask_path, item.depth_path


def _parts(category: Category) -> Iterator[tuple[str, tuple[Item, ...]]]:
    yield "train/good", category.train_good
    yield "test/good", category.test_good
    for defect, items in category.defects.items():
        yield f"test/{defect}", items


_Examine = Callable[[bytes, Path], tuple[tuple[int, int], list[Remark]]]


class _Check:
    """The single checks."""

    def __init__(self, root: Path, digests: Digests, resolution: int) -> None:
        self.resolution = resolution
        self.root = root
        self.digests = digests
        self.brightness: dict[str, float] = {}
        self.greys: dict[Path, bool] = {}
        """Whether an image that can be read is grey."""
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
        if category.defects and not category.has_masks:
            what = "has no masks; images are scored, pixels are not, and what learns from masks is skipped"
            yield self.problem("no-masks", name, folder / "ground_truth", what)
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
        for path, image in category.more_masks:
            what = f"is a further file for {self.relative(image)}, which has one; merge them or delete one"
            yield self.problem("second-mask", name, path, what)
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
        if len(unmasked) == len(items) > 1 and category.has_masks:
            what = f"has {len(items)} images and no masks at all; add {category.name}/ground_truth/{defect}"
            yield self.problem("missing-mask", name, folder, what)
        elif category.has_masks:
            for item in unmasked:
                what = f"has no mask; add {item.stem}_mask.png to its ground truth, or move the image"
                yield self.problem("missing-mask", name, item.path, what)
        if any(item.depth_path for item in items):
            for item in items:
                if item.depth_path is None:
                    yield self.problem("missing-depth", name, item.path, "has no depth map in xyz")

    def item(self, category: Category, part: str, item: Item) -> list[Problem]:
        """What reading an image, its mask and its depth map shows."""
        problems: list[Problem] = []
        shapes = []
        for path, examine in (
            (item.path, self._image),
            (item.mask_path, self._mask),
            (item.depth_path, self._depth),
        ):
            shape, faults = self._examined(category.name, path, examine)
            shapes.append(shape)
            problems += faults
        for other, shape in ((item.mask_path, shapes[1]), (item.depth_path, shapes[2])):
            if other and shape is not None and shapes[0] is not None and shape != shapes[0]:
                ours, theirs = (f"{width}x{height}" for height, width in (shape, shapes[0]))
                what = f"is {ours}, but its image {theirs}; make them equal"
                problems.append(self.problem("mask-size", category.name, other, what))
        return problems

    def _examined(
        self, category: str, path: Path | None, examine: "_Examine"
    ) -> tuple[tuple[int, int] | None, list[Problem]]:
        """Height and width of what a file holds (None: cannot be read), and its problems."""
        if path is None:
            return None, []
        try:
            data = file_bytes(path)
            self.digests.of(path, data)
            shape, remarks = examine(data, path)
        except BenchError as error:
            return None, [Problem("error", "unreadable", category, self.relative(path), str(error))]
        problems = [self.problem(remark.kind, category, path, remark.what) for remark in remarks]
        if examine != self._depth and is_turned(data):
            what = "has an EXIF orientation, which is not applied; save it upright"
            problems.append(self.problem("exif-orientation", category, path, what))
        return shape, problems

    def _image(self, data: bytes, path: Path) -> tuple[tuple[int, int], list[Remark]]:
        picture = load_picture(data, Path(self.relative(path)))
        image = picture_image(picture)
        pixels = image.width * image.height * len(image.getbands())
        total = sum(int(values.sum(dtype=np.int64)) for _, values in bands_of(image))
        self.brightness[self.relative(path)] = total / pixels
        self.greys[path] = image.mode == "L"
        return (image.height, image.width), list(image_remarks(picture))

    def _mask(self, data: bytes, path: Path) -> tuple[tuple[int, int], list[Remark]]:
        picture, values = self._mask_values(data, path)
        keeps = resolution_that_keeps(binarise_mask(values), self.resolution)
        if keeps is not None:
            self.kept_at[path] = keeps
        return values.shape, [*_mask_faults(values), *mask_remarks(picture, values)]

    def _mask_values(self, data: bytes, path: Path) -> tuple[PictureFile, np.ndarray]:
        picture = load_picture(data, Path(self.relative(path)))
        return picture, mask_values(picture)

    def _depth(self, data: bytes, path: Path) -> tuple[tuple[int, int], list[Remark]]:
        return decode_depth(data, Path(self.relative(path))).shape, []

    def normal_masks(self, category: Category) -> Iterator[Problem]:
        """Masks of normal images; MVTec 3D-AD ships black ones, which say what the folder says."""
        for path in category.normal_masks:
            try:
                marked = int(value_counts(self._mask_values(file_bytes(path), path)[1])[1:].sum())
            except BenchError:
                marked = -1
            if marked:
                what = f"marks {marked} pixels" if marked > 0 else "cannot be read"
                what += ", but its image is normal by its folder; the mask is ignored"
                yield self.problem("normal-mask", category.name, path, what)

    def mixed_colours(self, category: Category) -> Iterator[Problem]:
        """Greys among colours: a method can tell the parts of a data set by that alone."""
        grey = [item.path for item in category.items if self.greys.get(item.path) is True]
        colour = [item.path for item in category.items if self.greys.get(item.path) is False]
        if grey and colour:
            few, many = sorted((grey, colour), key=len)
            kinds = ("in grey", "in colour") if few is grey else ("in colour", "in grey")
            what = f"is one of {len(few)} images {kinds[0]} among {len(many)} {kinds[1]}; save all alike"
            yield self.problem("mixed-colours", category.name, few[0], what)

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


def _mask_faults(values: np.ndarray) -> Iterator[Remark]:
    mask = binarise_mask(values)
    if not mask.any():
        yield Remark("empty-mask", "marks no pixel as defect; draw the defect or move the image")
