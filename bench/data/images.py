"""Read images, masks and depth maps of any usual format into arrays, and resize them.

Files are untrusted: what cannot be decoded completely, or is far larger than a camera's image, is refused
with one sentence.

- Colour: every mode becomes RGB. Alpha is dropped, not composited: inspection cameras have none, and where
  software added it, the colours below are the picture. EXIF orientation is not applied, because the loaders
  of the published protocols do not apply it (Pillow itself turns TIFFs); `bench data check` warns of it.
- Depth of bits: 16 bits become 8 by round(v / 257), so that 0 and 65535 become 0 and 255. Colour at 16 bits
  comes from Pillow as its high byte, at most one level lower. Floating-point and 32-bit images have no known
  range and are refused.
"""

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.metrics.masks import binarise_mask, prepare_masks

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 150_000_000
"""Larger images are refused; a 16k line-scan image of 8,192 lines has 134 million pixels."""

MAX_BYTES = 1 << 31
"""Larger files are refused unread; coordinates of so many pixels, float32 and not compressed, have 1.8 GB."""

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "TGA", "AVIF")
"""Pillow reads more, and more of what nobody photographs with can go wrong in more decoders."""
_EXIF_NAMES = (b"Exif", b"eXIf", b"EXIF", b"profile type exif")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def read_image(path: Path) -> np.ndarray:
    """The image in `path`, uint8 [H, W, 3], RGB. Raises BenchError where it cannot be read."""
    return decode_image(file_bytes(path), path)


def read_mask(path: Path) -> np.ndarray:
    """The mask in `path`, bool [H, W], true on the defect (`binarise_mask`). Raises BenchError."""
    return binarise_mask(decode_mask_values(file_bytes(path), path))


def read_depth(path: Path) -> np.ndarray:
    """Depth, float32 [H, W]: z of an xyz map [H, W, 3] or the only channel of a map. Raises BenchError.

    Values and unit are the file's; MVTec 3D-AD (metres) marks pixels without a measurement by 0.
    """
    return decode_depth(file_bytes(path), path)


def file_bytes(path: Path) -> bytes:
    """What is in a file. Raises BenchError, also for what would never end: pipes, devices, huge files."""
    try:
        # to open a pipe would wait for who writes to it
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BenchError(f"cannot read {path}: it is not a regular file")
            if status.st_size > MAX_BYTES:
                raise BenchError(f"cannot read {path}: it has {status.st_size / 1e9:.1f} GB, 2.1 are allowed")
            return file.read()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from None


def decode_image(data: bytes, path: Path) -> np.ndarray:
    """`read_image` of bytes that are already in memory; `path` names them in errors."""
    image = _load(data, path)
    if image.mode in _SIXTEEN_BITS or image.mode == "I":
        grey = _sixteen_bits(image, path)
        eight = ((grey + np.uint32(128)) // np.uint32(257)).astype(np.uint8)
        return np.repeat(eight[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise BenchError(
            f"the image {path} holds floating-point values, whose range is unknown; save it with 8 or 16 bits"
        )
    return np.asarray(image if image.mode == "RGB" else _rgb(image))


def decode_mask_values(data: bytes, path: Path) -> np.ndarray:
    """The values of a mask file, uint8 or uint16 [H, W], as `binarise_mask` takes them.

    Colour becomes the maximum over red, green and blue. A palette of colours is read as a map of ids: any
    colour but black becomes 255; a grey palette is read as its greys.
    """
    image = _load(data, path)
    if image.mode == "F":
        raise BenchError(
            f"the mask {path} holds floating-point values; save it with 8 bits, 255 on the defect"
        )
    if image.mode in _SIXTEEN_BITS or image.mode == "I":
        return _sixteen_bits(image, path).astype(np.uint16)
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode == "LA":
        return np.asarray(image.getchannel("L"))
    colour = np.asarray(_rgb(image))
    values = colour.max(axis=2)
    if image.mode in ("P", "PA") and (colour != values[:, :, None]).any():
        return np.where(values > 0, np.uint8(255), np.uint8(0))
    return values


def decode_depth(data: bytes, path: Path) -> np.ndarray:
    """`read_depth` of bytes that are already in memory."""
    values = _tiff(data, path) if data[:2] in (b"II", b"MM") else np.asarray(_load(data, path))
    if values.ndim == 3 and values.shape[2] == 3 and values.dtype.kind == "f":
        values = values[:, :, 2]
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2:
        shape = " x ".join(map(str, values.shape))
        raise BenchError(
            f"the depth map {path} has shape {shape}; expected one channel, or x, y, z as float32"
        )
    return np.ascontiguousarray(values, dtype=np.float32)


def is_turned(data: bytes) -> bool:
    """Whether EXIF asks viewers to turn or mirror a sound picture, which `read_image` does not do."""
    from PIL import ExifTags

    # Looked for first, because Pillow decodes the whole of a PNG to find that it has no EXIF.
    if data[:2] in (b"II", b"MM") or not any(name in data for name in _EXIF_NAMES):
        return False
    with _open(data) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, 3] to uint8 [size, size, 3]: Pillow's antialiased bilinear filter (its support grows with
    the reduction), without keeping the aspect ratio, as torchvision's `Resize((size, size))` of a PIL image.
    """
    from PIL import Image

    if image.shape[:2] == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """bool [H, W] to bool [size, size]: true where more than half of the area of a pixel is covered.

    The default rule of `prepare_masks`, of a mask that is binary already.
    """
    return mask if mask.shape == (size, size) else prepare_masks(mask, size)


def resize_depth(depth: np.ndarray, size: int) -> np.ndarray:
    """float32 [H, W] to float32 [size, size]: the area mean over pixels that have a measurement.

    A pixel has none where it is 0 or not finite; a result without any measurement below it is 0.
    """
    if depth.shape == (size, size):
        return depth
    valid = np.isfinite(depth) & (depth != 0)
    values = np.where(valid, depth, 0).astype(np.float64)
    total = cell_sums(cell_sums(values, size).T, size).T
    area = cell_sums(cell_sums(valid, size).T, size).T
    return np.where(area > 0, total / np.maximum(area, 1), 0).astype(np.float32)


def cell_sums(values: np.ndarray, size: int) -> np.ndarray:
    """Sums over `size` equal stretches of axis 0, times `size`: [N, M] to [size, M].

    float64 for floats, else int64 and exact: edge i of the stretches lies at i * N / size = whole +
    part / size, so that all terms are integers.
    """
    kind = np.float64 if values.dtype.kind == "f" else np.int64
    whole, part = np.divmod(np.arange(size + 1) * len(values), size)
    row = np.minimum(whole, len(values) - 1)
    rows = np.add.reduceat(values, row[:-1], axis=0, dtype=kind)
    rows[whole[:-1] == whole[1:]] = 0  # a stretch within one row: reduceat gives the row, not nothing
    edges = values[row].astype(kind) * part[:, None]
    return rows * size + edges[1:] - edges[:-1]


def _open(data: bytes) -> "Image.Image":
    from PIL import Image

    Image.init()
    return Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN])


def _load(data: bytes, path: Path) -> "Image.Image":
    """The decoded picture; its mode is Pillow's."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise BenchError(f"{path} is an empty file; replace it or delete it")
    try:
        image = _open(data)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if image.format == "TIFF" and _is_planar_16(image):
            return _tiff_picture(data, path)
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
    except Exception as error:  # a damaged file may raise nearly anything inside a decoder
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BenchError(
            f"{path} cannot be decoded ({reason}); it is damaged or truncated, replace it"
        ) from None
    return image


def _is_planar_16(image: Any) -> bool:
    """Whether a TIFF holds 16-bit colour in separate planes, which Pillow decodes to wrong pixels."""
    bits_per_sample, planar_configuration = 258, 284
    return image.tag_v2.get(planar_configuration) == 2 and 16 in image.tag_v2.get(bits_per_sample, ())


def _rgb(image: "Image.Image") -> "Image.Image":
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    return image.convert("RGB")


def _sixteen_bits(image: "Image.Image", path: Path) -> np.ndarray:
    """uint32 [H, W] with values up to 65535."""
    values = np.asarray(image)
    # PGM and old PNG readers give 16-bit greys as 32-bit integers; a TIFF of that mode is 32-bit in truth.
    if image.mode == "I" and (image.format == "TIFF" or values.min() < 0 or values.max() > 65535):
        raise BenchError(f"{path} holds 32-bit integers, whose range is unknown; save it with 8 or 16 bits")
    return values.astype(np.uint32)


def _tiff(data: bytes, path: Path) -> np.ndarray:
    """The first page of a TIFF, [H, W] or [H, W, C], any dtype."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            if page.size > MAX_PIXELS:
                raise ValueError(f"it claims more than {MAX_PIXELS // 10**6} million values")
            if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > len(data):
                raise ValueError("it ends before its last pixel")  # tifffile would fill in zeros
            values = page.asarray()
            planar = page.planarconfig == 2 and values.ndim == 3
    except Exception as error:  # a damaged file may raise nearly anything inside a decoder
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BenchError(f"{path} cannot be decoded ({reason}); save it as an uncompressed TIFF") from None
    return np.moveaxis(values, 0, 2) if planar else values


def _tiff_picture(data: bytes, path: Path) -> "Image.Image":
    """A TIFF that Pillow does not know or gets wrong."""
    from PIL import Image

    values = _tiff(data, path)
    if values.dtype == np.uint16:
        values = ((values + np.uint32(128)) // np.uint32(257)).astype(np.uint8)
    if values.dtype != np.uint8 or values.ndim not in (2, 3):
        raise BenchError(f"{path} holds {values.dtype} values; save it with 8 or 16 bits")
    if values.ndim == 3:
        values = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(values))
