"""Find a data set on disk: MVTec AD and MVTec 3D-AD layouts, listed without reading any image.

MVTec AD:      <category>/train/good/*  <category>/test/<defect|good>/*  <category>/ground_truth/<defect>/*
MVTec 3D-AD:   <category>/{train/good,test/<defect|good>}/{rgb,xyz,gt}/*

Files stand in natural order ("2" before "10") of their names, as the published splits count them.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.errors import BenchError, did_you_mean

_SUFFIXES = "png jpg jpeg jpe jfif bmp dib tif tiff webp gif ppm pgm pbm pnm jp2 j2k tga avif"
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in re.findall(r"\w+", _SUFFIXES))
GOOD = "good"
UNTYPED = "bad"
"""The folder name that says "defective" without a type. MVTec AD's `toothbrush/defective` is a type."""
_PARTS = ("train", "test", "ground_truth", "validation", "calibration")
_JUNK = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "@eadir"})
_DOCUMENT = re.compile(r"(licen[cs]e|readme|copying|citation|dataset_info)\b.*", re.IGNORECASE)

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
    strays: tuple[Path, ...] = ()
    """Files and folders that are not images of the layout (junk of operating systems is left out)."""
    empty_folders: tuple[Path, ...] = ()

    @property
    def has_types(self) -> bool:
        """False where the only defect folder is `bad`: the images are defective, of unknown type."""
        return tuple(self.defects) != (UNTYPED,)

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


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key under which "2" comes before "10"; ties ("2", "02") by the name itself."""
    name = unicodedata.normalize("NFC", name)
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in pieces), name


def find_dataset(root: Path) -> Dataset:
    """The data set in `root`: a data set folder, one category's folder, or a folder around one data set.

    Raises BenchError where there is none, or more than one.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise BenchError(f"the data folder {root} {what}; give a folder in MVTec AD layout")
    root = root.resolve()
    try:
        datasets = _datasets_within(root, depth=2)
    except OSError as error:
        raise BenchError(f"cannot list {error.filename}: {error.strerror}; check its permissions") from None
    if len(datasets) == 1:
        return datasets[0]
    if datasets:
        names = ", ".join(repr(d.name) for d in datasets[:5])
        raise BenchError(f"{root} holds {len(datasets)} data sets ({names}); give the folder of one of them")
    entries = [p.name + "/" * p.is_dir() for p in _listing(root)]
    listing = ", ".join(entries[:6]) + ", …" * (len(entries) > 6) if entries else "nothing"
    raise BenchError(
        f"no data set in {root}: expected <category>/train/good, <category>/test/<defect> and "
        f"<category>/ground_truth/<defect> (MVTec AD layout), found {listing}"
    )


def _datasets_within(root: Path, depth: int) -> list[Dataset]:
    if _is_category(root):
        return [_dataset(root, [root], [])]
    folders = [p for p in _listing(root) if p.is_dir()]
    categories = [p for p in folders if _is_category(p)]
    if categories:
        return [_dataset(root, categories, [p for p in folders if p not in categories])]
    return [d for p in folders for d in _datasets_within(p, depth - 1)] if depth else []


def _dataset(root: Path, folders: list[Path], strays: list[Path]) -> Dataset:
    layouts = {folder: _layout(folder) for folder in folders}
    if len(set(layouts.values())) > 1:
        flat = next(f.name for f in folders if layouts[f] == "mvtec")
        deep = next(f.name for f in folders if layouts[f] == "mvtec_3d")
        raise BenchError(
            f"{root} mixes layouts: category '{flat}' is in MVTec AD layout and '{deep}' in MVTec 3D layout; "
            "give them separate folders"
        )
    layout = layouts[folders[0]]
    return Dataset(root.name, root, tuple(_category(f, layout) for f in folders), layout, tuple(strays))


def _is_category(folder: Path) -> bool:
    return (folder / "train" / GOOD).is_dir() or any(
        p.is_dir() and _has_images(p) for p in _listing(folder / "test")
    )


def _has_images(folder: Path) -> bool:
    return any(_is_image(p) for p in _listing(folder)) or (folder / "rgb").is_dir()


def _layout(folder: Path) -> Layout:
    parts = [folder / "train" / GOOD, *_listing(folder / "test")]
    return "mvtec_3d" if any((p / "rgb").is_dir() for p in parts) else "mvtec"


def _listing(folder: Path) -> list[Path]:
    """What is in a folder, in natural order, without hidden files and junk of operating systems."""
    if not folder.is_dir():
        return []
    names = (p for p in folder.iterdir() if not p.name.startswith(".") and p.name.lower() not in _JUNK)
    return sorted(names, key=lambda p: natural_key(p.name))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem)


class _Leftovers:
    """Files and folders of one category that are neither an image nor its mask."""

    def __init__(self) -> None:
        self.lone_masks: list[Path] = []
        self.strays: list[Path] = []
        self.empty: list[Path] = []

    def images(self, folder: Path) -> list[Path]:
        entries = _listing(folder)
        images = [p for p in entries if _is_image(p) and p.is_file()]
        self.strays += [p for p in entries if not (_is_image(p) and p.is_file())]
        return images


def _category(folder: Path, layout: Layout) -> Category:
    leftovers = _Leftovers()
    read = _part_3d if layout == "mvtec_3d" else _part
    parts: dict[tuple[str, str], tuple[Item, ...]] = {}
    for side, names in (("train", (GOOD,)), ("test", None)):
        for entry in _listing(folder / side):
            if not entry.is_dir() or (names and entry.name not in names):
                leftovers.strays.append(entry)
                continue
            items = read(folder, side, entry.name, leftovers)
            if not items:
                leftovers.empty.append(entry)
            parts[side, unicodedata.normalize("NFC", entry.name)] = items
    for entry in _listing(folder / "ground_truth"):
        if ("test", unicodedata.normalize("NFC", entry.name)) not in parts and entry.is_dir():
            leftovers.lone_masks += [p for p in _listing(entry) if _is_image(p)]
    leftovers.strays += [
        p for p in _listing(folder) if p.name not in _PARTS and not (p.is_file() and _DOCUMENT.match(p.name))
    ]
    return Category(
        unicodedata.normalize("NFC", folder.name),
        folder,
        parts.get(("train", GOOD), ()),
        parts.get(("test", GOOD), ()),
        {name: items for (side, name), items in parts.items() if side == "test" and name != GOOD and items},
        tuple(leftovers.lone_masks),
        tuple(leftovers.strays),
        tuple(leftovers.empty),
    )


def _part(folder: Path, side: str, name: str, leftovers: _Leftovers) -> tuple[Item, ...]:
    images = leftovers.images(folder / side / name)
    if name == GOOD:
        return tuple(Item(path, None, None, _stem(path)) for path in images)
    masks = {_stem(p): p for p in leftovers.images(folder / "ground_truth" / name)}
    items = tuple(
        Item(path, masks.get(f"{_stem(path)}_mask") or masks.get(_stem(path)), None, _stem(path))
        for path in images
    )
    used = {item.mask_path for item in items}
    leftovers.lone_masks += [p for p in masks.values() if p not in used]
    return items


def _part_3d(folder: Path, side: str, name: str, leftovers: _Leftovers) -> tuple[Item, ...]:
    part = folder / side / name
    leftovers.strays += [p for p in _listing(part) if p.name not in ("rgb", "xyz", "gt")]
    depth = {_stem(p): p for p in leftovers.images(part / "xyz")}
    # MVTec 3D ships all-black masks with its normal images too; they say nothing that the folder does not.
    masks = {} if name == GOOD else {_stem(p): p for p in leftovers.images(part / "gt")}
    items = tuple(
        Item(
            path,
            masks.get(_stem(path)) or masks.get(f"{_stem(path)}_mask"),
            depth.get(_stem(path)),
            _stem(path),
        )
        for path in leftovers.images(part / "rgb")
    )
    used = {item.mask_path for item in items}
    leftovers.lone_masks += [p for p in masks.values() if p not in used]
    return items
