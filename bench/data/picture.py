"""Decode a picture of any usual format, and what its file says beside its pixels.

Files are untrusted: what cannot be decoded completely, or is far larger than a camera's image, is refused
with one sentence.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.files import open_file

if TYPE_CHECKING:
    from PIL import Image, ImageFile

MAX_PIXELS = 150_000_000
"""Larger images are refused; a 16k line-scan image of 8,192 lines has 134 million pixels."""
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
LOSSLESS = ("PNG", "BMP", "DIB", "TIFF", "PPM", "TGA", "GIF")
"""Formats whose pixels are those that were saved: a value that stands in a mask was meant."""

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "TGA", "AVIF")
"""Pillow reads more, and more of what nobody photographs with can go wrong in more decoders."""
# What is wrong with a picture is told by what this module raises, and not by lines of a library.
warnings.filterwarnings("ignore", module=r"PIL\.")

_MOST_PAGES = 100
_BAND = 1 << 22
"""Pixels that are copied at once, so that no picture is in memory twice."""


@dataclass(frozen=True)
class PictureFile:
    """A decoded picture; its mode is Pillow's."""

    path: Path
    """For errors."""
    image: "Image.Image"
    format: str
    bits: int
    """Of a channel in the file; 16 or fewer where they are read as 16."""
    colour_16: bool
    """Whether the file has colour (or else more) at 16 bits, of which 8 are in the image."""
    pages: int
    """Of the size of the first; thumbnails and smaller copies are not counted."""

    def bands(self) -> Iterator[tuple[slice, np.ndarray]]:
        """The pixels as the image's mode has them, in bands of rows."""
        yield from bands_of(self.image)


def load_picture(data: bytes, path: Path) -> PictureFile:
    """Decode the first page. Raises BenchError."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise BenchError(f"{path} is an empty file; replace it or delete it")
    try:
        image = _open(data)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        name, bits, colour_16 = image.format or "", *_bits(image, data)
        pages = _pages(image, data)
        if name == "TIFF" and _is_planar_16(image):
            return _tiff_picture(data, path)
        is_white_zero = name == "TIFF" and _tag(image, 262) == 0
        image.load()
    except Image.DecompressionBombError:
        raise BenchError(
            f"{path} claims more than {MAX_PIXELS // 10**6} million pixels, which is refused as a fault; "
            "cut it into smaller images"
        ) from None
    except UnidentifiedImageError:
        if data[:2] in (b"II", b"MM"):
            return _tiff_picture(data, path)
        raise BenchError(f"{path} is not an image that can be read; replace it or delete it") from None
    except BenchError:
        raise
    except Exception as error:  # a damaged file may raise nearly anything inside a decoder
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BenchError(
            f"{path} cannot be decoded ({reason}); it is damaged or truncated, replace it"
        ) from None
    if is_white_zero and image.mode in SIXTEEN_BITS:  # Pillow turns the fewer bits only
        return PictureFile(path, _inverted_16(image), name, bits, colour_16, pages)
    return PictureFile(path, image, name, bits, colour_16, pages)


def pixels_of(path: Path) -> int:
    """How many pixels a file claims to have, by its header alone; 0 where it cannot be read."""
    try:
        with open_file(path) as file:
            image = _opened(file)
            return image.width * image.height
    except Exception:  # what is wrong is reported where the file is decoded
        return 0


def bands_of(image: "Image.Image") -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and their pixels; a crop at a time, because Pillow copies a picture twice to make an array."""
    rows = max(1, _BAND // max(1, image.width))
    if image.height <= rows:
        yield slice(0, image.height), np.asarray(image)
        return
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        yield slice(top, bottom), np.asarray(image.crop((0, top, image.width, bottom)))


def pixels(image: "Image.Image") -> np.ndarray:
    """The array of an image, as its mode has it."""
    out: np.ndarray | None = None
    for rows, values in bands_of(image):
        if len(values) == image.height:
            return values
        if out is None:
            out = np.empty((image.height, *values.shape[1:]), values.dtype)
        out[rows] = values
    assert out is not None
    return out


def is_turned(data: bytes) -> bool:
    """Whether EXIF asks viewers to turn or mirror a sound picture, which reading does not do."""
    from PIL import ExifTags

    # Looked for first, because Pillow decodes the whole of a PNG to find that it has no EXIF.
    names = (b"Exif", b"eXIf", b"EXIF", b"profile type exif")
    if data[:2] in (b"II", b"MM") or not any(name in data for name in names):
        return False
    with _open(data) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)


def eight_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers of up to 16 bits to uint8, rounded: 0 and 2^bits - 1 become 0 and 255."""
    top = np.uint32((1 << bits) - 1)
    return ((values * np.uint32(510) + top) // (np.uint32(2) * top)).astype(np.uint8)


def tiff_values(data: bytes, path: Path) -> np.ndarray:
    """The only page of a TIFF, [H, W] or [H, W, C], any dtype, as numbers and not as a picture."""
    page = _tiff_page(data, path)
    if page.pages > 1:
        raise BenchError(f"{path} holds {page.pages} pages, and one would be read; save one page")
    return page.values


@dataclass(frozen=True)
class _TiffPage:
    values: np.ndarray
    photometric: str
    """What its numbers mean."""
    bits: int
    pages: int


def _tiff_picture(data: bytes, path: Path) -> PictureFile:
    """A TIFF that Pillow does not know or gets wrong."""
    from PIL import Image

    page = _tiff_page(data, path)
    values = page.values
    if page.photometric not in ("MINISBLACK", "MINISWHITE", "RGB"):
        raise BenchError(f"{path} has colours of the kind {page.photometric}; save it as RGB or grey")
    if values.dtype not in (np.uint8, np.uint16) or values.ndim not in (2, 3):
        raise BenchError(f"{path} holds {values.dtype} values; save it with 8 or 16 bits")
    if values.dtype == np.uint16:
        values = eight_bits(values, page.bits)
    if page.photometric == "MINISWHITE":
        values = 255 - values
    if values.ndim == 3:
        values = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, 0]
    is_wide = page.values.dtype == np.uint16
    image = Image.fromarray(np.ascontiguousarray(values))
    return PictureFile(path, image, "TIFF", page.bits, is_wide, page.pages)


def _tiff_page(data: bytes, path: Path) -> _TiffPage:
    import tifffile

    tifffile.logger().disabled = True  # what is wrong is in the error that it raises
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            if page.size > MAX_PIXELS:
                raise ValueError(f"it claims more than {MAX_PIXELS // 10**6} million values")
            if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > len(data):
                raise ValueError("it ends before its last pixel")  # tifffile would fill in zeros
            values = page.asarray()
            if page.planarconfig == 2 and values.ndim == 3:
                values = np.moveaxis(values, 0, 2)
            photometric = getattr(page.photometric, "name", str(page.photometric))
            return _TiffPage(values, photometric, page.bitspersample, _tiff_pages(file))
    except Exception as error:  # a damaged file may raise nearly anything inside a decoder
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BenchError(f"{path} cannot be decoded ({reason}); save it as an uncompressed TIFF") from None


def _tiff_pages(file: Any) -> int:
    """Pages of the shape of the first, of the first hundred."""
    pages = 1
    for number in range(1, _MOST_PAGES):
        try:
            page = file.pages[number]
        except IndexError:
            break
        pages += page.shape == file.pages[0].shape and not page.subfiletype & 1
    return pages


def _open(data: bytes) -> "ImageFile.ImageFile":
    return _opened(io.BytesIO(data))


def _opened(file: Any) -> "ImageFile.ImageFile":
    """`Image.open` without its warning of a size that is allowed here."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    beginning = file.read(16)
    for name in _FORMATS:
        factory, accepts = Image.OPEN.get(name, (None, None))
        if factory is None or (accepts is not None and accepts(beginning) is not True):
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise UnidentifiedImageError


def _bits(image: "ImageFile.ImageFile", data: bytes) -> tuple[int, bool]:
    """Bits of a channel, and whether there is colour (or transparency) at 16."""
    if image.format == "PNG":
        return data[24], data[24] == 16 and data[25] != 0
    if image.format == "TIFF":
        bits = tuple(_tag(image, 258, (1,)))
        return max(bits), max(bits) == 16 and len(bits) > 1
    return (16 if image.mode in (*SIXTEEN_BITS, "I") else 8), False


def _pages(image: "ImageFile.ImageFile", data: bytes) -> int:
    """How many pages or frames are pictures of their own; counting ends at 100."""
    if image.format != "TIFF":
        return min(getattr(image, "n_frames", 1), _MOST_PAGES)
    pages = 1
    with _open(data) as other:
        for number in range(1, _MOST_PAGES):
            try:
                other.seek(number)
            except EOFError:
                break
            is_smaller_copy = _tag(other, 254, 0) & 1
            pages += not is_smaller_copy and other.size == image.size
    return pages


def _is_planar_16(image: Any) -> bool:
    """Whether a TIFF holds 16-bit colour in separate planes, which Pillow decodes to wrong pixels."""
    return _tag(image, 284) == 2 and 16 in _tag(image, 258, ())


def _tag(image: Any, number: int, otherwise: Any = None) -> Any:
    return image.tag_v2.get(number, otherwise)


def _inverted_16(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    return Image.fromarray(np.uint16(65535) - pixels(image).astype(np.uint16))
