"""Detectors' outputs made elsewhere: anomaly maps, image scores, predicted defect types.

`<category>/<defect>/<stem>.npy`, `.tif(f)` or `.png` for each test image (without `<category>/` where the
data set has one), float32, higher is more anomalous. Pictures of whole numbers of 8 and 16 bits are scaled to
[0, 1]; the numbers of a `.npy`, of any real type, are taken as they are, as float32.
`scores.csv` with the columns category, defect, stem, score, and `classes.csv` with category, defect, stem,
predicted (a defect type of the category) for each anomalous test image. What is there must be complete.
A value that float32, or the half precision it was made in, turned into an infinity is refused; scores that
were rounded to one highest value are ranked as equal, and that is reported.
"""

import csv
import io
import math
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.data.decoding import decode_in_order
from bench.data.folder import Folder
from bench.data.layout import GOOD
from bench.data.mask_file import sixteen_bits
from bench.data.picture import MAX_PIXELS, SIXTEEN_BITS, load_picture, pixels
from bench.errors import BenchError
from bench.files import file_bytes
from bench.ingestion.categories import categories_of

MAP_SUFFIXES = frozenset({".npy", ".tif", ".tiff", ".png"})
SHOWN = 3
"""Test images named in the sentence about missing ones."""


class Target(NamedTuple):
    """A test image of the data set, for which outputs are wanted; `stem` is its file's name, suffix apart."""

    category: str
    defect: str
    stem: str


@dataclass(frozen=True)
class PredictionScan:
    """What a folder says of the test images, in their order; None where it says nothing of the kind."""

    maps: tuple[Path, ...] | None
    scores: np.ndarray | None
    """float32 [N], higher is more anomalous."""
    predicted: tuple[str | None, ...] | None
    """The predicted defect type; None for normal images."""
    left_out: tuple[str, ...] = ()
    """Folders of categories that the data set does not have."""
    notes: tuple[str, ...] = ()
    """Sentences on rows that were left out, and on scores that are one and the same."""


def scan_predictions(
    root: Path,
    items: Sequence[Target],
    categories: Mapping[str, tuple[str, ...]],
    then: str = "ingest again",
) -> PredictionScan:
    """Find and read all outputs in `root` for the test images `items`; `categories` are the data set's.

    then: what to do when the files are mended.

    Raises one BenchError that lists missing and unreadable maps, values that are not finite, rows of
    unknown images, missing rows and links out of the folder.
    """
    folder = Folder(root)
    maps, left_out = _maps(folder, items, categories)
    notes: list[str] = []
    highest: list[float] = []
    for examined in decode_in_order(_examine, maps or (), _files):
        if isinstance(examined, str):
            folder.problems.append(examined)
        else:
            highest.append(examined)
    scores = _column(folder, "scores.csv", "score", items, categories, notes)
    anomalous = [item for item in items if item.defect != GOOD]
    classes = _column(folder, "classes.csv", "predicted", anomalous, categories, notes)
    numbers = {item: _number(folder, item, text) for item, text in scores.items()} if scores else {}
    for item, predicted in (classes or {}).items():
        if predicted not in categories[item.category]:
            folder.problems.append(
                f"classes.csv predicts '{predicted}' for {_name(item)}, "
                f"which is not a type of '{item.category}'"
            )
    if maps is None and scores is None and classes is None and not folder.problems:
        folder.problems.append("no maps, no scores.csv and no classes.csv in it")
    folder.refuse(f"Mend these files, then {then}")
    values = np.array([numbers[item] for item in items], dtype=np.float32) if scores else None
    notes += _saturated(items, np.array(highest, np.float32) if values is None else values)
    return PredictionScan(
        maps,
        values,
        tuple(classes.get(item) for item in items) if classes else None,
        left_out,
        tuple(notes),
    )


def read_map(path: Path, resolution: int | None = None) -> np.ndarray:
    """The anomaly map in `path`, float32 [H, W], or bilinear at [resolution, resolution].

    Raises BenchError where it cannot be read, is not a single channel or holds values that are not finite.
    """
    amap = _npy(path) if path.suffix.lower() == ".npy" else _picture(path)
    if not np.isfinite(amap).all():
        raise BenchError(f"the map {path} holds values that are not finite; write finite float32 values")
    if resolution is None or amap.shape == (resolution, resolution):
        return amap
    resized = Image.fromarray(amap).resize((resolution, resolution), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)


def _maps(
    folder: Folder, items: Sequence[Target], categories: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Path, ...] | None, tuple[str, ...]]:
    parts = frozenset({GOOD}).union(*categories.values())
    places, left_out = categories_of(folder, tuple(categories), parts)
    if not places:
        return None, left_out
    files: dict[tuple[str, str], dict[str, Path]] = {}
    for category, path in places.items():
        for entry in folder.folders(path):
            defect = unicodedata.normalize("NFC", entry.name)
            if defect in (*categories[category], GOOD):
                files[category, defect] = folder.files(entry, MAP_SUFFIXES)
            else:
                folder.problems.append(f"{folder.name(entry)}/ is not a defect of '{category}'")
    paths = [files.get(item[:2], {}).get(item.stem) for item in items]
    _report_missing(folder, "map", [item for item, path in zip(items, paths, strict=True) if path is None])
    return tuple(path for path in paths if path is not None), left_out


def _files(path: Path) -> tuple[Path, ...]:
    return (path,)


def _examine(path: Path) -> str | float:
    """The highest value of a map, or what is wrong with it."""
    try:
        return float(read_map(path).max())
    except BenchError as error:
        return str(error)


def _saturated(items: Sequence[Target], scores: np.ndarray) -> list[str]:
    """The sentence about images that share the highest score of their category, which one alone should have.

    scores: float32 [N], of the images or the maxima of their maps.
    """
    by_category: dict[str, list[float]] = {}
    for item, score in zip(items, scores, strict=False):
        by_category.setdefault(item.category, []).append(float(score))
    counts = {name: values.count(max(values)) for name, values in by_category.items()}
    shared = {name: count for name, count in counts.items() if count > 1}
    if not shared:
        return []
    name = max(shared, key=shared.__getitem__)
    others = f" (so it is in {len(shared) - 1} more categories)" if len(shared) > 1 else ""
    return [
        f"warning: {shared[name]} of {len(by_category[name])} test images of {name} have one and the same "
        f"highest score, {max(by_category[name]):g}{others}, and are ranked as equal; a softmax in half "
        "precision or a map scaled image by image does that: write float32 from before that step"
    ]


def _npy(path: Path) -> np.ndarray:
    try:
        # Mapped, so that a header that claims more than the file holds is refused without allocating it.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # the header is Python's: a damaged one may raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(f"the map {path} cannot be read ({reason}); save a plain float32 array") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        dtype = getattr(values, "dtype", type(values).__name__)
        raise BenchError(
            f"the map {path} holds no numbers that numpy knows, but {dtype} (bfloat16 is saved so); "
            "save a float32 array [H, W]"
        )
    flat = values.reshape([side for side in values.shape if side != 1]) if values.ndim > 2 else values
    if flat.ndim != 2 or not 0 < flat.size <= MAX_PIXELS:
        raise BenchError(f"the map {path} has shape {list(values.shape)}; [H, W] is needed")
    with np.errstate(over="ignore"):  # an infinity is refused by who asked
        return np.array(flat, dtype=np.float32)


def _picture(path: Path) -> np.ndarray:
    picture = load_picture(file_bytes(path), path)
    mode = picture.image.mode
    if picture.pages > 1:
        raise BenchError(f"the map {path} holds {picture.pages} pages, and one would be read; save one page")
    if mode == "F":
        return pixels(picture.image)
    if mode == "L" and not picture.colour_16:
        return pixels(picture.image).astype(np.float32) / 255
    if mode in SIXTEEN_BITS or mode == "I":
        return sixteen_bits(picture).astype(np.float32) / 65535
    raise BenchError(f"the map {path} has mode {mode}; save one channel, float32 TIFF or 8 or 16 bit grey")


def _column(
    folder: Folder,
    name: str,
    column: str,
    items: Sequence[Target],
    categories: Collection[str],
    notes: list[str],
) -> dict[Target, str] | None:
    """The column of a table, a value for each item; None where there is no such table.

    Rows of categories that the data set does not have are left out, with a sentence in `notes`.
    """
    path = folder.root / name
    if not path.exists() and not path.is_symlink():
        return None
    if name not in {entry.name for entry in folder.files(folder.root, frozenset({".csv"})).values()}:
        folder.problems.append(f"{name} is not a regular file")
        return {}
    try:
        text = file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        folder.problems.append(f"{name} is not UTF-8 text")
        return {}
    reader = csv.DictReader(io.StringIO(text))
    columns = ("category", "defect", "stem", column)
    if missing := [needed for needed in columns if needed not in (reader.fieldnames or ())]:
        folder.problems.append(f"{name} has no column {', '.join(missing)}")
        return {}
    targets, values, others = set(items), dict[Target, str](), dict[str, int]()
    try:
        for row in reader:
            item = Target(*(unicodedata.normalize("NFC", row[key] or "") for key in columns[:3]))
            if item in values:
                folder.problems.append(f"{name} line {reader.line_num} names {_name(item)} a second time")
            elif item in targets:
                values[item] = (row[column] or "").strip()
            elif item.category not in categories:
                others[item.category] = others.get(item.category, 0) + 1
            elif not (column == "predicted" and item.defect == GOOD):
                folder.problems.append(f"{name} line {reader.line_num} names {_name(item)}, no test image")
    except csv.Error as error:
        folder.problems.append(f"{name} line {reader.line_num} cannot be read ({error})")
        return {}
    _report_missing(folder, f"row in {name}", [item for item in items if item not in values])
    if others:
        notes.append(
            f"left out {sum(others.values())} rows of {name}, of {_few(others)}: the data set has "
            f"{_few(categories)}"
        )
    return values


def _few(names: Collection[str]) -> str:
    return ", ".join(list(names)[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def _number(folder: Folder, item: Target, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= np.finfo(np.float32).max:
        folder.problems.append(
            f"scores.csv gives {_name(item)} the score '{text}', which is not a finite number"
        )
        return 0.0
    return number


def _report_missing(folder: Folder, what: str, missing: Sequence[Target]) -> None:
    if missing:
        names = ", ".join(_name(item) for item in missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
        folder.problems.append(f"{len(missing)} test images have no {what}: {names}")


def _name(item: Target) -> str:
    return "/".join(item)
