"""Read mask files: which values stand for a defect, what is refused because it could mean two things.

Greys: above half of the range, or all but 0 where none is above it (class ids). Colours: the brightest
channel; a map of a few colours (or a palette) is a map of classes, and every colour but black is defect.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bench.data.picture import LOSSLESS, SIXTEEN_BITS, PictureFile, bands_of, pixels
from bench.data.remarks import Remark, alpha_of
from bench.errors import BenchError

if TYPE_CHECKING:
    from PIL import Image

_MOST_IDS = 20
"""Pascal VOC has 20 classes, and marks by 255 what is to be ignored."""
_FEW_COLOURS = 32
_MOST_COLOURS = 1024
_COLOURED = 32
"""A difference between channels that is no noise of compression."""
_BAND = 1 << 22


def mask_values(picture: PictureFile) -> np.ndarray:
    """The values of a mask, uint8 or uint16 [H, W], as `binarise_mask` takes them. Raises BenchError."""
    image, path = picture.image, picture.path
    if picture.pages > 1:
        raise BenchError(
            f"the mask {path} holds {picture.pages} pages or frames, and one would be read; "
            "merge them into one"
        )
    if image.mode == "F":
        raise BenchError(
            f"the mask {path} holds floating-point values; save it with 8 bits, 255 on the defect"
        )
    if picture.colour_16:
        raise BenchError(f"the mask {path} holds 16 bits per colour; save it as grey with 8 bits")
    if image.mode in (*SIXTEEN_BITS, "I"):
        values = sixteen_bits(picture)
    else:
        _refuse_transparency_alone(image, picture)
        values = _eight_bits(image, picture)
    if picture.format in LOSSLESS:
        _refuse_ignored_ids(values, picture)
    return values


def sixteen_bits(picture: PictureFile) -> np.ndarray:
    """The greys of a picture with more than 8 bits, uint16 [H, W]. Raises BenchError."""
    image = picture.image
    values = pixels(image)
    # PGM and old PNG readers give 16-bit greys as 32-bit integers; a TIFF of that mode is 32-bit in truth.
    if image.mode == "I" and (picture.format == "TIFF" or values.min() < 0 or values.max() > 65535):
        raise BenchError(
            f"{picture.path} holds signed or 32-bit integers of unknown range; save it with 8 or 16 bits"
        )
    return values.astype(np.uint16, copy=False)


def value_counts(values: np.ndarray) -> np.ndarray:
    """How often each value of a mask occurs, int64 [256 or 65536]; `np.bincount` alone copies to int64."""
    counts = np.zeros(256 if values.dtype == np.uint8 else 65536, np.int64)
    flat = values.reshape(-1)
    for start in range(0, len(flat), _BAND):
        counts += np.bincount(flat[start : start + _BAND], minlength=len(counts))
    return counts


def mask_remarks(picture: PictureFile, values: np.ndarray) -> Iterator[Remark]:
    """What is not read of a mask, or is doubtful in it."""
    counts = value_counts(values)
    top = 255 if not counts[256:].any() else 65535
    yield from _of_colours(picture)
    yield from _of_transparency(picture, values)
    present = np.flatnonzero(counts)
    marked = counts[top // 2 + 1 :].sum() or counts[1:].sum()
    border = (values[0], values[-1], values[:, 0], values[:, -1])
    least = top // 2 if present[-1] > top // 2 else 0
    if marked == values.size:
        yield Remark("full-mask", "marks every pixel as defect; is it inverted?")
    elif 2 * marked > values.size and all((line > least).all() for line in border):
        share = f"{marked / values.size:.1%} of its pixels"
        yield Remark("inverted-mask", f"marks {share} and its whole border as defect; is it inverted?")
    if set(present.tolist()) <= {0, top}:
        return
    if present[-1] <= top // 2:
        what = f"has no value above {present[-1]}, as class ids; all but 0 is taken as defect"
        yield Remark("mask-ids", what)
        return
    lost = counts[1 : top // 2 + 1].sum()
    areas = _areas(values, top // 2) if lost else []
    if areas:
        what = f"fills areas with {_listed(areas)}, as classes; above {top // 2} is taken as defect, and "
        yield Remark(
            "mask-classes", what + f"{lost} of {values.size - counts[0]} pixels that are not 0 are not"
        )
        return
    between = len(present) - int(present[0] == 0) - int(present[-1] == top)
    what = f"holds {between} values between 0 and {top}; above {top // 2} is taken as defect, and "
    yield Remark("mask-values", what + f"{lost} of {values.size - counts[0]} pixels that are not 0 are not")


def _eight_bits(image: "Image.Image", picture: PictureFile) -> np.ndarray:
    from PIL import ImageChops

    if image.mode in ("L", "1", "LA", "La"):
        return pixels(
            image.convert("LA").getchannel("L") if len(image.getbands()) > 1 else image.convert("L")
        )
    red, green, blue = _rgb(image).split()
    bright = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    dark = ImageChops.darker(ImageChops.darker(red, green), blue)
    chroma = int(pixels(ImageChops.difference(bright, dark)).max())
    is_palette = image.mode in ("P", "PA")
    if not (chroma if is_palette else chroma > _COLOURED and picture.format in LOSSLESS):
        return pixels(bright)
    colours = _few_colours(image)
    if colours is None and not is_palette:
        if _rgb(image).getcolors(_MOST_COLOURS) is None:
            raise BenchError(
                f"the mask {picture.path} holds more than {_MOST_COLOURS} colours, as a photograph does; "
                "save it as grey, 255 on the defect"
            )
        return pixels(bright)
    _refuse_background(colours or {}, picture)
    return np.where(pixels(bright) > 0, np.uint8(255), np.uint8(0))


def _rgb(image: "Image.Image") -> "Image.Image":
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    return image.convert("RGB")


def _few_colours(image: "Image.Image") -> dict[tuple[int, ...], int] | None:
    """Colour to its number of pixels; None where they are no map of classes."""
    colours = _rgb(image).getcolors(_FEW_COLOURS)
    return None if colours is None else {colour: count for count, colour in colours}  # type: ignore[misc]


def _refuse_background(colours: dict[tuple[int, ...], int], picture: PictureFile) -> None:
    if not colours:
        return
    most = max(colours, key=lambda colour: colours[colour])
    if (0, 0, 0) not in colours or (most == (255, 255, 255) and len(colours) > 2):
        raise BenchError(
            f"the mask {picture.path} holds the colours {_shown(list(colours))}, of which none is known to "
            "be the background; save it with black where there is no defect"
        )


def _refuse_transparency_alone(image: "Image.Image", picture: PictureFile) -> None:
    alpha = alpha_of(image)
    if alpha is None or alpha.getextrema()[0] == alpha.getextrema()[1]:
        return
    if all(low == high for low, high in (band.getextrema() for band in _rgb(image).split())):
        raise BenchError(
            f"the mask {picture.path} has one colour and differs in transparency alone, which is not read; "
            "save it as grey, 255 on the defect"
        )


def _refuse_ignored_ids(values: np.ndarray, picture: PictureFile) -> None:
    """0, 1, 2 and 255: the defect is 1 and 2, or it is 255. A few dark pixels beside 255 are no class."""
    counts = value_counts(values)
    if picture.image.mode == "P":
        counts = np.zeros(256, np.int64)
        counts[:] = np.array(picture.image.histogram())
    present = np.flatnonzero(counts)
    top = 255 if present[-1] <= 255 else 65535
    ids = present[(present > 0) & (present < top)]
    if not ids.size or present[-1] != top or ids[-1] > _MOST_IDS:
        return
    if 10 * counts[ids].sum() >= counts[top] or _areas(values, _MOST_IDS):
        listing = ", ".join(map(str, ids[:5])) + ", ..." * (len(ids) > 5)
        raise BenchError(
            f"the mask {picture.path} holds the class ids {listing} beside {top}, which may mark what to "
            "ignore; write 0 where there is no defect and 255 where there is one"
        )


def _of_colours(picture: PictureFile) -> Iterator[Remark]:
    image = picture.image
    if image.mode in ("L", "1", "LA", "La", "F", "I", *SIXTEEN_BITS) or picture.format not in LOSSLESS:
        return
    colours = [c for c in _few_colours(image) or {} if max(c) - min(c) > _COLOURED]
    if len(colours) > 1:
        what = f"holds {len(colours)} colours ({_shown(colours)}), as classes; each is taken as defect"
        yield Remark("mask-colours", what)


def _of_transparency(picture: PictureFile, values: np.ndarray) -> Iterator[Remark]:
    alpha = alpha_of(picture.image)
    if alpha is None or alpha.getextrema()[0] == 255:
        return
    marked = values > 127 if values.max() > 127 else values > 0
    hidden = sum(int((marked[rows] & (band == 0)).sum()) for rows, band in bands_of(alpha))
    if hidden:
        what = f"marks {hidden} pixels that are transparent, of {int(marked.sum())}; transparency is not read"
        yield Remark("transparency", what)


def _areas(values: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Values up to `most` that fill 3 x 3 pixels somewhere (soft edges do not), with their pixels."""
    filled: set[int] = set()
    rows = max(3, _BAND // values.shape[1])
    for top in range(0, len(values) - 2, rows):
        band = values[top : top + rows + 2]
        across = (band[:, 1:-1] == band[:, :-2]) & (band[:, 1:-1] == band[:, 2:])
        middle = band[1:-1, 1:-1]
        same = across[1:-1] & across[:-2] & across[2:]
        same &= (middle == band[:-2, 1:-1]) & (middle == band[2:, 1:-1]) & (middle > 0) & (middle <= most)
        filled |= set(np.unique(middle[same]).tolist())
    counts = value_counts(values)
    return [(value, int(counts[value])) for value in sorted(filled)]


def _listed(areas: list[tuple[int, int]]) -> str:
    listing = ", ".join(f"the value {value} ({count} pixels)" for value, count in areas[:3])
    return listing + ", ..." * (len(areas) > 3)


def _shown(colours: list[tuple[int, ...]]) -> str:
    return ", ".join(str(colour) for colour in sorted(colours)[:4]) + ", ..." * (len(colours) > 4)
