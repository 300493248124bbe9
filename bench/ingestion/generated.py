"""Generated images and masks made elsewhere.

Layouts, one per category: `<category>/<defect>/{image,mask}/<stem>.*` as AnomalyDiffusion and SeaS release
them; `<category>/test/<defect>/<stem>.*` with `<category>/ground_truth/<defect>/<stem>_mask.*` (or
`<stem>.*`) and `<category>/train/good`, as MVTec AD; either without `<category>/` where the data set has one
category. The defect `good` holds generated normal images, `any` anomalies of no particular type.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.images import read_image, read_mask
from bench.data.layout import GOOD
from bench.errors import BenchError
from bench.ingestion.folder import Folder, categories_of
from bench.methods import Sample
from bench.parallel import in_order

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


def scan_generated(
    root: Path, categories: Mapping[str, tuple[str, ...]], then: str = "ingest again"
) -> GeneratedScan:
    """Find and decode every image and mask in `root`; `categories` are the data set's, with their defects.

    `then` ends the advice of the error: what to do when the files are mended.

    Raises one BenchError that lists unknown categories and defects, missing masks, masks of another size,
    files that cannot be read, equal stems and links out of the folder.
    """
    folder = Folder(root)
    parts = MVTEC_PARTS | {GOOD, ANY} | {defect for defects in categories.values() for defect in defects}
    items: list[GeneratedItem] = []
    for category, path in categories_of(folder, tuple(categories), parts).items():
        items += _category_items(folder, category, path, categories[category])
    empty: list[GeneratedItem] = []
    for item, (problem, marks) in zip(items, in_order(_examine, items), strict=True):
        if problem:
            folder.problems.append(problem)
        elif not marks:
            empty.append(item)
    advice = "Mend or delete these files"
    if not items and not folder.problems:
        folder.problems.append("no images in it")
        advice = "Expected <category>/<defect>/image and mask, or <category>/test and ground_truth"
    folder.refuse(f"{advice}, then {then}")
    left_out = set(empty)
    return GeneratedScan(tuple(item for item in items if item not in left_out), tuple(empty))


def generated_samples(items: Iterable[GeneratedItem]) -> Iterator[Sample]:
    """The images and masks of the items, in order, each at its own size."""
    return in_order(_sample, items)


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
    masks_by_stem = folder.files(masks) if masks else {}
    for stem, image in folder.files(images).items():
        if masks is None:
            yield GeneratedItem(category, defect, image, None)
            continue
        mask = masks_by_stem.get(stem, masks_by_stem.get(f"{stem}_mask"))
        if mask is None:
            folder.problems.append(f"{folder.name(image)} has no mask in {folder.name(masks)}/")
        else:
            yield GeneratedItem(category, defect, image, mask)


def _examine(item: GeneratedItem) -> tuple[str | None, bool]:
    """What is wrong with the item, or None; and whether it is normal or its mask marks something."""
    try:
        image, mask = _sample(item)[:2]
    except BenchError as error:
        return str(error), False
    if mask is None:
        return None, True
    if mask.shape != image.shape[:2]:
        sizes = " and ".join(f"{array.shape[1]} x {array.shape[0]}" for array in (image, mask))
        return f"{item.image} and its mask {item.mask} differ in size ({sizes} pixels)", False
    return None, bool(np.any(mask))


def _sample(item: GeneratedItem) -> Sample:
    return Sample(read_image(item.image), read_mask(item.mask) if item.mask else None)
