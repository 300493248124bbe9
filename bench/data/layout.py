"""Find a data set on disk: MVTec AD and MVTec 3D-AD layouts, listed without reading any image.

MVTec AD:      <category>/train/good/*  <category>/test/<defect|good>/*  <category>/ground_truth/<defect>/*
MVTec 3D-AD:   <category>/{train/good,test/<defect|good>}/{rgb,xyz,gt}/*

Files stand in natural order ("2" before "10") of their names, as the published splits count them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.data.folder import Folder, is_image, printable, stem_of
from bench.errors import BenchError, did_you_mean

GOOD = "good"
UNTYPED = "bad"
"""The folder name that says "defective" without a type. MVTec AD's `toothbrush/defective` is a type."""
_PARTS = ("train", "test", "ground_truth", "validation", "calibration")
_DOCUMENT = re.compile(r"(licen[cs]e|readme|copying|citation|dataset_info)\b.*", re.IGNORECASE)
_MASK_ENDING = re.compile(r"_mask$", re.IGNORECASE)
_NUMBERED = re.compile(r"(_mask[_-]?\d+|[_-]\d+_mask)$", re.IGNORECASE)

Layout = Literal["mvtec", "mvtec_3d"]


@dataclass(frozen=True)
class Item:
    """One image, and where its mask and its depth (xyz) are, if it has them."""

    path: Path
    mask_path: Path | None
    depth_path: Path | None
    stem: str
    """File name without its suffix, in Unicode normal form C, so that it is the same on every system."""


@dataclass(frozen=True)
class Category:
    """One product: its normal images and its defects by type, each in natural file order."""

    name: str
    folder: Path
    train_good: tuple[Item, ...]
    test_good: tuple[Item, ...]
    defects: Mapping[str, tuple[Item, ...]]
    """Types in natural order; one whose folder holds no image is left out, and stands in `empty_folders`."""
    lone_masks: tuple[Path, ...] = ()
    more_masks: tuple[tuple[Path, Path], ...] = ()
    """Masks of an image that has another one already, each with its image; nobody knows which is meant."""
    normal_masks: tuple[Path, ...] = ()
    """Masks of normal images; they are not read."""
    strays: tuple[Path, ...] = ()
    """Files and folders that are not images of the layout (`folder.is_junk` is left out)."""
    empty_folders: tuple[Path, ...] = ()

    @property
    def has_types(self) -> bool:
        """False where the only defect folder is `bad`: the images are defective, of unknown type."""
        return tuple(self.defects) != (UNTYPED,)

    @property
    def has_masks(self) -> bool:
        """False where no defect image has a mask: pixels have no truth, and images have."""
        return any(item.mask_path for items in self.defects.values() for item in items)

    @property
    def items(self) -> tuple[Item, ...]:
        """Every image: train/good, test/good, then each defect."""
        return (*self.train_good, *self.test_good, *(i for items in self.defects.values() for i in items))


@dataclass(frozen=True)
class Dataset:
    """Categories in natural order. `name` is the folder's name."""

    name: str
    root: Path
    categories: tuple[Category, ...]
    layout: Layout
    strays: tuple[Path, ...] = ()
    """Folders of the root that are no category."""

    def category(self, name: str) -> Category:
        for category in self.categories:
            if category.name == name:
                return category
        raise BenchError(did_you_mean("category", name, (c.name for c in self.categories), of=self.name))

    def select(self, names: Sequence[str]) -> "Dataset":
        """The data set with these categories alone, in its own order."""
        selected = {self.category(name).name for name in names}
        return replace(self, categories=tuple(c for c in self.categories if c.name in selected))


@dataclass(frozen=True)
class MaskPairs:
    """Which mask belongs to which image."""

    by_stem: Mapping[str, Path]
    """Stem of an image to its mask."""
    more: tuple[tuple[Path, str], ...]
    """Further masks of an image that has one, with its stem."""
    lone: tuple[Path, ...]


def pair_masks(stems: Iterable[str], masks: Iterable[Path]) -> MaskPairs:
    """Find the mask of each image: `<stem>_mask.*`, in any case, or `<stem>.*`.

    `<stem>_mask_2.*` or `<stem>_1_mask.*` and a folder of the stem's name are further masks.
    """
    owners = frozenset(stems)
    by_stem: dict[str, Path] = {}
    more: list[tuple[Path, str]] = []
    lone: list[Path] = []
    for path in masks:
        stem = stem_of(path)
        shorter = _MASK_ENDING.sub("", stem)
        owner = shorter if shorter != stem and shorter in owners else stem
        numbered = _NUMBERED.sub("", stem)
        if owner in owners and owner not in by_stem and is_image(path):
            by_stem[owner] = path
        elif owner in owners:
            more.append((path, owner))
        elif numbered in owners:
            more.append((path, numbered))
        else:
            lone.append(path)
    return MaskPairs(by_stem, tuple(more), tuple(lone))


def find_dataset(root: Path) -> Dataset:
    """The data set in `root`: a data set folder, one category's folder, or a folder around one data set.

    Raises BenchError where there is none, or more than one.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise BenchError(f"the data folder {root} {what}; give a folder in MVTec AD layout")
    folder = Folder(root)
    datasets = _datasets_within(folder, folder.root, depth=2)
    where = datasets[0].root if len(datasets) == 1 else folder.root
    folder.refuse("Mend these first", within=where)
    root = folder.root
    if len(datasets) == 1:
        if where.name != printable(where.name):
            raise BenchError(f"the name of the folder {printable(str(where))} is not UTF-8; rename it")
        return datasets[0]
    if datasets:
        names = ", ".join(repr(d.name) for d in datasets[:5])
        raise BenchError(f"{root} holds {len(datasets)} data sets ({names}); give the folder of one of them")
    entries = [p.name + "/" * p.is_dir() for p in folder.entries(root)]
    listing = ", ".join(entries[:6]) + ", …" * (len(entries) > 6) if entries else "nothing"
    raise BenchError(
        f"no data set in {root}: expected <category>/train/good, <category>/test/<defect> and "
        f"<category>/ground_truth/<defect> (MVTec AD layout), found {listing}"
    )


def _datasets_within(listing: Folder, root: Path, depth: int) -> list[Dataset]:
    if _is_category(listing, root):
        return [_dataset(listing, root, [root], [])]
    folders = listing.folders(root)
    categories = [p for p in folders if _is_category(listing, p)]
    if categories:
        return [_dataset(listing, root, categories, [p for p in folders if p not in categories])]
    return [d for p in folders for d in _datasets_within(listing, p, depth - 1)] if depth else []


def _dataset(listing: Folder, root: Path, folders: list[Path], strays: list[Path]) -> Dataset:
    layouts = {folder: _layout(listing, folder) for folder in folders}
    if len(set(layouts.values())) > 1:
        flat = next(f.name for f in folders if layouts[f] == "mvtec")
        deep = next(f.name for f in folders if layouts[f] == "mvtec_3d")
        raise BenchError(
            f"{root} mixes layouts: category '{flat}' is in MVTec AD layout and '{deep}' in MVTec 3D layout; "
            "give them separate folders"
        )
    layout = layouts[folders[0]]
    categories = tuple(_CategoryListing(listing, f).read(layout) for f in folders)
    return Dataset(root.name, root, categories, layout, tuple(strays))


def _is_category(listing: Folder, folder: Path) -> bool:
    return (folder / "train" / GOOD).is_dir() or any(
        _has_images(listing, p) for p in listing.folders(folder / "test")
    )


def _has_images(listing: Folder, folder: Path) -> bool:
    return any(is_image(p) for p in listing.entries(folder)) or (folder / "rgb").is_dir()


def _layout(listing: Folder, folder: Path) -> Layout:
    parts = [folder / "train" / GOOD, *listing.entries(folder / "test")]
    return "mvtec_3d" if any((p / "rgb").is_dir() for p in parts) else "mvtec"


class _CategoryListing:
    """The parts of one category, and what is neither an image nor its mask."""

    def __init__(self, listing: Folder, folder: Path) -> None:
        self.listing = listing
        self.folder = folder
        self.lone_masks: list[Path] = []
        self.more_masks: list[tuple[Path, Path]] = []
        self.normal_masks: list[Path] = []
        self.strays: list[Path] = []
        self.empty: list[Path] = []

    def read(self, layout: Layout) -> Category:
        part = self._part_3d if layout == "mvtec_3d" else self._part
        parts: dict[tuple[str, str], tuple[Item, ...]] = {}
        for side, names in (("train", (GOOD,)), ("test", None)):
            for entry in self.listing.entries(self.folder / side):
                if not entry.is_dir() or (names and entry.name not in names):
                    self.strays.append(entry)
                    continue
                items = part(side, entry.name)
                if not items:
                    self.empty.append(entry)
                parts[side, unicodedata.normalize("NFC", entry.name)] = items
        self._without_images({name for side, name in parts if side == "test"})
        return Category(
            unicodedata.normalize("NFC", self.folder.name),
            self.folder,
            parts.get(("train", GOOD), ()),
            parts.get(("test", GOOD), ()),
            {
                name: items
                for (side, name), items in parts.items()
                if side == "test" and name != GOOD and items
            },
            tuple(self.lone_masks),
            tuple(self.more_masks),
            tuple(self.normal_masks),
            tuple(self.strays),
            tuple(self.empty),
        )

    def images(self, folder: Path) -> list[Path]:
        entries = self.listing.entries(folder)
        images = [p for p in entries if is_image(p) and p.is_file()]
        self.strays += [p for p in entries if p not in set(images)]
        return images

    def _without_images(self, names: set[str]) -> None:
        """What lies beside the parts that were read."""
        for entry in self.listing.entries(self.folder / "ground_truth"):
            if not entry.is_dir():
                self.strays.append(entry)
            elif unicodedata.normalize("NFC", entry.name) not in names:
                self.lone_masks += [p for p in self.listing.entries(entry) if is_image(p)]
        self.strays += [
            p
            for p in self.listing.entries(self.folder)
            if p.name not in _PARTS and not (p.is_file() and _DOCUMENT.match(p.name))
        ]

    def _part(self, side: str, name: str) -> tuple[Item, ...]:
        images = self.images(self.folder / side / name)
        masks = self.folder / "ground_truth" / name
        if name == GOOD:
            if side == "test":
                self.normal_masks += self.images(masks)
            return tuple(Item(path, None, None, stem_of(path)) for path in images)
        by_stem = self._masks(images, masks)
        return tuple(Item(path, by_stem.get(stem_of(path)), None, stem_of(path)) for path in images)

    def _part_3d(self, side: str, name: str) -> tuple[Item, ...]:
        part = self.folder / side / name
        self.strays += [p for p in self.listing.entries(part) if p.name not in ("rgb", "xyz", "gt")]
        images = self.images(part / "rgb")
        depth = self._masks(images, part / "xyz")
        by_stem: Mapping[str, Path] = {}
        if name == GOOD:
            self.normal_masks += self.images(part / "gt")
        else:
            by_stem = self._masks(images, part / "gt")
        return tuple(
            Item(path, by_stem.get(stem_of(path)), depth.get(stem_of(path)), stem_of(path)) for path in images
        )

    def _masks(self, images: list[Path], folder: Path) -> Mapping[str, Path]:
        by_stem = {stem_of(path): path for path in images}
        entries = self.listing.entries(folder)
        pairs = pair_masks(by_stem, entries)
        self.more_masks += [(path, by_stem[stem]) for path, stem in pairs.more]
        self.lone_masks += [path for path in pairs.lone if is_image(path) and path.is_file()]
        self.strays += [path for path in pairs.lone if not (is_image(path) and path.is_file())]
        return pairs.by_stem
