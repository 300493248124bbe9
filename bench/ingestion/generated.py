"""Generated images and masks made elsewhere.

Layouts, one per category: `<category>/<defect>/{image,mask}/<stem>.*` as AnomalyDiffusion and SeaS release
them; `<category>/test/<defect>/<stem>.*` with `<category>/ground_truth/<defect>/<stem>_mask.*` (or
`<stem>.*`) and `<category>/train/good`, as MVTec AD; either without `<category>/` where the data set has one
category. The defect `good` holds generated normal images, `any` anomalies of no particular type.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.data.decoding import decode_in_order
from bench.data.folder import Folder
from bench.data.images import picture_image, read_image, read_mask
from bench.data.layout import GOOD, pair_masks
from bench.data.mask_file import mask_remarks, mask_values
from bench.data.picture import load_picture
from bench.data.problems import Problem
from bench.data.remarks import Remark, image_remarks
from bench.data.vanishing import resolution_that_keeps, vanished_generated
from bench.errors import BenchError
from bench.files import file_bytes
from bench.ingestion.categories import categories_of
from bench.methods import Sample
from bench.metrics.masks import binarise_mask

ANY = "any"
MVTEC_PARTS = frozenset({"train", "test", "ground_truth"})


@dataclass(frozen=True)
class GeneratedItem:
    """One generated image; `mask` is None for normal images."""

    category: str
    defect: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class GeneratedScan:
    """Images that can be used, in natural order of category, defect and file; and those left out.

    `empty` are anomalies whose mask marks nothing: released sets hold some, and they teach nothing.
    """

    items: tuple[GeneratedItem, ...]
    empty: tuple[GeneratedItem, ...]
    left_out: tuple[str, ...] = ()
    """Folders of categories that the data set does not have."""
    warnings: tuple[Problem, ...] = ()
    """What the files say and reading does not take."""


def scan_generated(
    root: Path,
    categories: Mapping[str, tuple[str, ...]],
    then: str = "ingest again",
    resolution: int | None = None,
) -> GeneratedScan:
    """Find and decode every image and mask in `root`; `categories` are the data set's, with their defects.

    `then` ends the advice of the error: what to do when the files are mended. `resolution`: masks of which
    nothing is left there are warned of.

    Raises one BenchError that lists unknown categories and defects, missing masks, masks of another size,
    files that cannot be read, equal stems and links out of the folder.
    """
    folder = Folder(root)
    parts = MVTEC_PARTS | {GOOD, ANY} | {defect for defects in categories.values() for defect in defects}
    items: list[GeneratedItem] = []
    places, left_out = categories_of(folder, tuple(categories), parts)
    for category, path in places.items():
        items += _category_items(folder, category, path, categories[category])
    empty: list[GeneratedItem] = []
    warnings: list[Problem] = []
    kept_at: dict[GeneratedItem, int] = {}
    examine = partial(_examine, resolution=resolution)
    for item, examined in zip(items, decode_in_order(examine, items, _files), strict=True):
        warnings += (_warning(folder, item, path, remark) for path, remark in examined.remarks)
        if examined.problem:
            folder.problems.append(examined.problem)
        elif not examined.marks:
            empty.append(item)
        if examined.kept_at is not None:
            kept_at[item] = examined.kept_at
    advice = "Mend or delete these files"
    if not items and not folder.problems:
        folder.problems.append("no images in it")
        advice = "Expected <category>/<defect>/image and mask, or <category>/test and ground_truth"
    if items and len(empty) == len(items):
        first = folder.name(empty[0].mask or empty[0].image)
        folder.problems.append(f"all {len(items)} masks are empty, {first} first, so that nothing is left")
        advice = "Write masks with 255 on the defect"
    folder.refuse(f"{advice}, then {then}")
    warnings += _vanished(folder, items, kept_at, resolution or 0)
    used = tuple(item for item in items if item not in set(empty))
    return GeneratedScan(used, tuple(empty), left_out, tuple(warnings))


def generated_samples(items: Iterable[GeneratedItem]) -> Iterator[Sample]:
    """The images and masks of the items, in order, each at its own size."""
    return decode_in_order(_sample, items, _files)


def _category_items(
    folder: Folder, category: str, path: Path, defects: tuple[str, ...]
) -> Iterator[GeneratedItem]:
    entries = folder.folders(path)
    if MVTEC_PARTS & {entry.name for entry in entries}:
        train = path / "train" / GOOD
        yield from _pairs(folder, category, GOOD, train, None)
        for images in folder.folders(path / "test"):
            defect = unicodedata.normalize("NFC", images.name)
            if _known(folder, images, category, defect, defects):
                masks = None if defect == GOOD else path / "ground_truth" / images.name
                yield from _pairs(folder, category, defect, images, masks)
        return
    for entry in entries:
        defect = unicodedata.normalize("NFC", entry.name)
        if not _known(folder, entry, category, defect, defects):
            continue
        images = entry / "image"
        if defect == GOOD:
            yield from _pairs(folder, category, GOOD, images if images.is_dir() else entry, None)
        elif images.is_dir():
            yield from _pairs(folder, category, defect, images, entry / "mask")
        else:
            folder.problems.append(f"{folder.name(entry)}/ has no folder image")


def _known(folder: Folder, path: Path, category: str, defect: str, defects: tuple[str, ...]) -> bool:
    if defect in (*defects, GOOD, ANY):
        return True
    names = ", ".join(defects[:6]) + ", ..." * (len(defects) > 6)
    folder.problems.append(f"{folder.name(path)}/ is not a defect of '{category}' ({names})")
    return False


def _pairs(
    folder: Folder, category: str, defect: str, images: Path, masks: Path | None
) -> Iterator[GeneratedItem]:
    by_stem = folder.files(images)
    if masks is None:
        for image in by_stem.values():
            yield GeneratedItem(category, defect, image, None)
        return
    pairs = pair_masks(by_stem, folder.entries(masks))
    for mask, stem in pairs.more:
        folder.problems.append(f"{folder.name(mask)} is a further mask of {by_stem[stem].name}; keep one")
    for stem, image in by_stem.items():
        if stem in pairs.by_stem:
            yield GeneratedItem(category, defect, image, pairs.by_stem[stem])
        else:
            folder.problems.append(f"{folder.name(image)} has no mask in {folder.name(masks)}/")


@dataclass(frozen=True)
class _Examined:
    problem: str | None = None
    marks: bool = False
    """Whether the item is normal or its mask marks something."""
    remarks: tuple[tuple[Path, Remark], ...] = ()
    kept_at: int | None = None
    """The resolution that keeps a mask of which nothing is left at that of the run."""


def _examine(item: GeneratedItem, resolution: int | None) -> _Examined:
    try:
        picture = load_picture(file_bytes(item.image), item.image)
        image = picture_image(picture)
        remarks = [(item.image, remark) for remark in image_remarks(picture)]
        if item.mask is None:
            return _Examined(marks=True, remarks=tuple(remarks))
        mask_picture = load_picture(file_bytes(item.mask), item.mask)
        values = mask_values(mask_picture)
    except BenchError as error:
        return _Examined(str(error))
    height, width = values.shape
    if (width, height) != image.size:
        sizes = f"{image.width} x {image.height} and {width} x {height} pixels"
        return _Examined(f"{item.image} and its mask {item.mask} differ in size ({sizes})")
    remarks += ((item.mask, remark) for remark in mask_remarks(mask_picture, values))
    kept_at = None if resolution is None else resolution_that_keeps(binarise_mask(values), resolution)
    return _Examined(marks=bool(values.any()), remarks=tuple(remarks), kept_at=kept_at)


def _vanished(
    folder: Folder, items: Sequence[GeneratedItem], kept_at: Mapping[GeneratedItem, int], resolution: int
) -> Iterator[Problem]:
    """The warnings about masks that are lost at the resolution of a run: one per category and type."""
    for category, defect in dict.fromkeys((item.category, item.defect) for item in kept_at):
        of_type = [item for item in items if (item.category, item.defect) == (category, defect)]
        lost = {item.mask: kept_at[item] for item in of_type if item in kept_at and item.mask is not None}
        name = folder.name(next(iter(lost)).parent)
        what = vanished_generated(lost, len(of_type), defect, resolution)
        yield Problem("warning", "vanishing-mask", category, name, f"{name} {what}")


def _warning(folder: Folder, item: GeneratedItem, path: Path, remark: Remark) -> Problem:
    name = folder.name(path)
    return Problem("warning", remark.kind, item.category, name, f"{name} {remark.what}")


def _files(item: GeneratedItem) -> tuple[Path | None, ...]:
    return item.image, item.mask


def _sample(item: GeneratedItem) -> Sample:
    return Sample(read_image(item.image), read_mask(item.mask) if item.mask else None)
