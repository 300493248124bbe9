"""Sample sets: generated images as one uncompressed zip a category, defect and chunk.

Members: `image/000.png` (RGB), `mask/000.png` (0 or 255; not for normal images), `base/000.png` and
`depth/000.npy` where the generator gives them, numbered by the index of the request, and `index.json`:
{"category", "defect", "indices", "fields", "resolution"}. Equal samples give equal bytes. One file, because
73,000 images must not be 146,000 files.
"""

import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data.images import resize_depth
from bench.data.picture import MAX_PIXELS
from bench.data.pool import PoolWriter
from bench.data.view import Size, View
from bench.errors import BenchError
from bench.methods import Request, Sample

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the earliest that a zip can hold."""
PNG_LEVEL = 1
"""Level 6 makes the set a tenth smaller and takes five times as long."""


@dataclass(frozen=True)
class SampleIndex:
    """What `index.json` says: `fields` of image, mask, depth, base; `resolution` is None for mixed sizes."""

    category: str
    defect: str
    indices: tuple[int, ...]
    fields: tuple[str, ...]
    resolution: int | None


def write_samples(
    path: Path,
    request: Request,
    samples: Iterator[Sample],
    progress: Callable[..., None] | None = None,
    *,
    generator: str,
    resolution: int | None = None,
    may_be_empty: bool = False,
) -> SampleIndex:
    """Write the samples of a request to the zip `path`, one by one, each checked as it comes.

    `resolution` is the side that every image must have; None allows any size, as of images made elsewhere.
    `may_be_empty` allows anomalies with an empty mask.
    Raises BenchError, naming the generator and the index, where a sample is not what the interface says or
    there are fewer or more samples than indices.
    """
    fields: tuple[str, ...] | None = None
    sizes: set[tuple[int, ...]] = set()
    remaining = iter(samples)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for done, index in enumerate(request.indices):
            sample = next(remaining, None)
            what = f"sample {index} of '{generator}' for '{request.category}/{request.defect}'"
            if sample is None:
                raise BenchError(
                    f"'{generator}' gave {done} samples for '{request.category}/{request.defect}', and "
                    f"{len(request.indices)} were asked for; yield one for each index of the request"
                )
            if problem := _problem(sample, request.defect == "good", resolution, may_be_empty):
                raise BenchError(f"{what} {problem}")
            present = tuple(name for name in Sample._fields if getattr(sample, name) is not None)
            if fields not in (None, present):
                raise BenchError(
                    f"{what} holds {', '.join(present)}, but those before it {', '.join(fields or ())}"
                )
            fields = present
            sizes.add(sample.image.shape)
            for name in present:
                value = getattr(sample, name)
                data, suffix = (_npy(value), "npy") if name == "depth" else (_png(value), "png")
                _add(archive, f"{name}/{index:03d}.{suffix}", data)
            if progress is not None:
                progress(done + 1, len(request.indices))
        if next(remaining, None) is not None:
            raise BenchError(
                f"'{generator}' gave more than the {len(request.indices)} samples that were asked for "
                f"for '{request.category}/{request.defect}'; yield one for each index of the request"
            )
        sides = {side for size in sizes for side in size[:2]}
        index_file = SampleIndex(
            request.category,
            request.defect,
            tuple(request.indices),
            fields or (),
            sides.pop() if len(sides) == 1 else None,
        )
        text = json.dumps(asdict(index_file), sort_keys=True, ensure_ascii=True)
        _add(archive, "index.json", text.encode())
    return index_file


def read_index(path: Path) -> SampleIndex:
    """What the set holds. Raises BenchError where the file is not a sample set."""
    try:
        with zipfile.ZipFile(path) as archive:
            raw = json.loads(_member(archive, "index.json"))
        return SampleIndex(
            _plain(raw["category"]),
            _plain(raw["defect"]),
            tuple(int(index) for index in raw["indices"]),
            tuple(Sample._fields[Sample._fields.index(name)] for name in raw["fields"]),
            raw["resolution"],
        )
    except Exception as error:  # a damaged archive may raise nearly anything inside the reader
        why = " ".join(str(error).split()) or type(error).__name__
        raise BenchError(f"{path} is not a sample set ({why}); make it again") from None


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of the set in the order in which they were made, read one at a time."""
    index_file = read_index(path)
    with zipfile.ZipFile(path) as archive:
        for index in index_file.indices:
            try:
                values = {name: _read(archive, name, index) for name in index_file.fields}
            except Exception as error:  # a damaged member may raise nearly anything inside a decoder
                raise _unreadable(path, index, error) from None
            yield Sample(**values)


def _unreadable(path: Path, index: int, error: Exception) -> BenchError:
    return BenchError(f"sample {index} of {path} cannot be read ({type(error).__name__}); make the set again")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member as `_add` wrote it: what is compressed was not, and may unfold to any size."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def _plain(name: Any) -> str:
    """A name that is one folder and no other place. Raises ValueError where it is not."""
    text = str(name)
    if not text or text in (".", "..") or any(sign in text for sign in ("/", os.sep, "\0")):
        raise ValueError(f"'{text}' is not a name of a folder")
    return text


def extract(paths: Sequence[Path], out: Path) -> int:
    """Write the sets as a folder in MVTec AD layout and return the number of images.

    `<category>/test/<defect>/000.png` with `<category>/ground_truth/<defect>/000_mask.png`, and normal
    images as `<category>/train/good/000.png`. Base images and depth stay in the sets.
    """
    count = 0
    for path in paths:
        index_file = read_index(path)
        root = out / index_file.category
        good = index_file.defect == "good"
        images = root / "train" / "good" if good else root / "test" / index_file.defect
        masks = root / "ground_truth" / index_file.defect
        images.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            for index in index_file.indices:
                try:
                    (images / f"{index:03d}.png").write_bytes(_member(archive, f"image/{index:03d}.png"))
                    if "mask" in index_file.fields:
                        masks.mkdir(parents=True, exist_ok=True)
                        (masks / f"{index:03d}_mask.png").write_bytes(
                            _member(archive, f"mask/{index:03d}.png")
                        )
                except (ValueError, LookupError, zipfile.BadZipFile) as error:
                    raise _unreadable(path, index, error) from None
                count += 1
    return count


def samples_to_pool(
    sets: Sequence[tuple[str, Path]],
    out: Path,
    view: View,
    limits: Mapping[str, int] | None = None,
    stretched_from: Size | None = None,
) -> None:
    """Decode sets, (defect, zip) in the order given, into a pool in the existing folder `out`.

    `limits` says how many images of a defect are taken at most, the first ones; None takes all.
    Images of another size are brought to the view as real images are; a mask that would become empty by it
    keeps the pixels that are covered most, so that a small defect stays one. `stretched_from` is the height
    and width of the originals, where the samples were made of images that had been stretched to a square.
    """
    indexes = [read_index(path) for _, path in sets]
    common = [name for name in ("depth", "base") if all(name in index.fields for index in indexes)]
    masked = any("mask" in index.fields for index in indexes)
    names = {"mask": "masks", "depth": "depth", "base": "base"}
    fields = (["mask"] if masked else []) + (common if indexes else [])
    available: Counter[str] = Counter()
    for (defect, _), index_file in zip(sets, indexes, strict=True):
        available[defect] += len(index_file.indices)
    remaining = {defect: min(count, (limits or available)[defect]) for defect, count in available.items()}
    total = sum(remaining.values())
    writer = PoolWriter(out, total, view.side, fields=tuple(names[name] for name in fields))
    for (defect, path), index_file in zip(sets, indexes, strict=True):
        for index, sample in zip(index_file.indices, read_samples(path), strict=True):
            if remaining[defect] == 0:
                break
            remaining[defect] -= 1
            values = {names[name]: _viewed(name, sample, view, stretched_from) for name in fields}
            item = {"defect": defect, "stem": f"{index:03d}"}
            writer.add(item, _viewed("image", sample, view, stretched_from), **values)
    writer.close()


def _problem(sample: Sample, good: bool, resolution: int | None, may_be_empty: bool) -> str | None:
    """What is wrong with a sample, as the end of a sentence, or None."""
    if not isinstance(sample, Sample):
        return f"is a {type(sample).__name__}; yield bench.methods.Sample"
    image = sample.image
    size = image.shape[:2] if isinstance(image, np.ndarray) else (0, 0)
    expected = {
        "image": ((*size, 3), np.uint8),
        "mask": (size, np.bool_),
        "depth": (size, np.float32),
        "base": ((*size, 3), np.uint8),
    }
    for name, (shape, dtype) in expected.items():
        value = getattr(sample, name)
        if value is None and name != "image":
            continue
        if (
            not isinstance(value, np.ndarray)
            or value.dtype != dtype
            or value.shape != shape
            or not value.size
        ):
            actual = (
                f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)[:40]
            )
            sides = "[H, W, 3]" if name == "image" else str(list(shape))
            return f"has {name} {actual}; {np.dtype(dtype).name} {sides} is needed"
    if resolution is not None and size != (resolution, resolution):
        return f"is {size[0]} x {size[1]} pixels; the train split has {resolution} x {resolution}"
    if sample.depth is not None and not np.isfinite(sample.depth).all():
        return "has depth that is not finite"
    if good and sample.mask is not None and sample.mask.any():
        return "is a normal image, but has a mask that is not empty"
    if not good and sample.mask is None:
        return "has no mask, and every anomaly needs one"
    if not good and not may_be_empty and sample.mask is not None and not sample.mask.any():
        return "has an empty mask, and every anomaly must show something"
    return None


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system = 3  # the same on every system
    member.external_attr = 0o644 << 16
    archive.writestr(member, data)


def _png(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == np.bool_ else pixels)
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(values), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _read(archive: zipfile.ZipFile, name: str, index: int) -> np.ndarray:
    if name == "depth":
        return np.load(io.BytesIO(_member(archive, f"depth/{index:03d}.npy")), allow_pickle=False)
    with Image.open(io.BytesIO(_member(archive, f"{name}/{index:03d}.png")), formats=("PNG",)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"it claims {image.width} x {image.height} pixels")
        return np.array(image.convert("L")) > 127 if name == "mask" else np.array(image.convert("RGB"))


def _viewed(name: str, sample: Sample, view: View, stretched_from: Size | None) -> np.ndarray:
    value = getattr(sample, name)
    if value is None:  # normal images beside anomalies
        return np.zeros((view.side, view.side), dtype=bool)
    size = stretched_from or value.shape[:2]
    if name == "mask":
        return view.mask(value, size, rule="half-or-most")
    if name == "depth":
        return view.cut(resize_depth(value, view.whole(size)), size)
    return view.picture(Image.fromarray(value), size)
