"""Read images, masks and depth maps of any usual format into arrays, and resize them.

The one reader of all commands. What is in a file and is not read is in `remarks.py`, what a mask means in
`mask_file.py`.

- Colour: every mode becomes RGB. Alpha is dropped, not composited: inspection cameras have none, and where
  software added it, the colours below are the picture. EXIF orientation is not applied, because the loaders
  of the published protocols do not apply it (Pillow itself turns TIFFs); `bench data check` warns of both.
- Depth of bits: 16 bits become 8 by round(v / 257), so that 0 and 65535 become 0 and 255; TIFFs of 9
  to 15 bits by their own range. Colour at 16 bits comes from Pillow as its high byte, at most one level
  lower. Floating-point and 32-bit images have no known range and are refused.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.data.mask_file import mask_values, sixteen_bits
from bench.data.picture import SIXTEEN_BITS, PictureFile, eight_bits, load_picture, pixels, tiff_values
from bench.data.view import View
from bench.errors import BenchError
from bench.files import file_bytes
from bench.metrics.masks import binarise_mask, prepare_masks

if TYPE_CHECKING:
    from PIL import Image

_BAND_ROWS = 1024


def read_image(path: Path) -> np.ndarray:
    """The image in `path`, uint8 [H, W, 3], RGB. Raises BenchError where it cannot be read."""
    return decode_image(file_bytes(path), path)


def read_viewed(
    path: Path, view: View, *, filter: Literal["bilinear", "nearest"] = "bilinear"
) -> tuple[np.ndarray, tuple[int, int]]:
    """The image in `path` under a view, without an array of the whole; and height and width of the file.

    filter: `nearest` takes single pixels of the whole file, as `nearest_image` says, whatever the fit.
    """
    image = picture_image(load_picture(file_bytes(path), path))
    shape = (image.height, image.width)
    return (view.picture(image) if filter == "bilinear" else nearest_image(pixels(image), view.side)), shape


def nearest_image(values: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W] or [H, W, 3] to [size, size, 3]: of each cell the pixel at its upper left corner.

    torchvision's nearest resize of a tensor, which is how SeaS reads the centres of IC-LPIPS.
    """
    rows, columns = (np.arange(size) * side // size for side in values.shape[:2])
    chosen = values[rows][:, columns]
    return chosen if chosen.ndim == 3 else np.repeat(chosen[:, :, None], 3, axis=2)


def read_mask(path: Path) -> np.ndarray:
    """The mask in `path`, bool [H, W], true on the defect (`binarise_mask`). Raises BenchError."""
    return binarise_mask(decode_mask_values(file_bytes(path), path))


def read_depth(path: Path) -> np.ndarray:
    """Depth, float32 [H, W]: z of an xyz map [H, W, 3] or the only channel of a map. Raises BenchError.

    Values and unit are the file's; MVTec 3D-AD (metres) marks pixels without a measurement by 0.
    """
    return decode_depth(file_bytes(path), path)


def decode_image(data: bytes, path: Path) -> np.ndarray:
    """`read_image` of bytes that are already in memory; `path` names them in errors."""
    values = pixels(picture_image(load_picture(data, path)))
    return values if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)


def decode_mask_values(data: bytes, path: Path) -> np.ndarray:
    """The values of a mask file, uint8 or uint16 [H, W], as `binarise_mask` takes them (`mask_values`)."""
    return mask_values(load_picture(data, path))


def decode_depth(data: bytes, path: Path) -> np.ndarray:
    """`read_depth` of bytes that are already in memory."""
    if data[:2] in (b"II", b"MM"):
        values = tiff_values(data, path)
    else:
        picture = load_picture(data, path)
        if picture.image.mode in ("P", "PA", "1") or picture.pages > 1:
            raise BenchError(
                f"the depth map {path} has a palette, one bit or several pages; save one channel of numbers"
            )
        values = pixels(picture.image)
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


def picture_image(picture: PictureFile) -> "Image.Image":
    """The picture as "L", where it is grey, or "RGB". Raises BenchError where its range is unknown."""
    from PIL import Image

    image, path = picture.image, picture.path
    if image.mode in (*SIXTEEN_BITS, "I"):
        bits = picture.bits if 8 < picture.bits < 16 else 16
        values = sixteen_bits(picture)
        eight = np.empty(values.shape, np.uint8)
        for top in range(0, len(values), _BAND_ROWS):
            eight[top : top + _BAND_ROWS] = eight_bits(values[top : top + _BAND_ROWS], bits)
        return Image.fromarray(eight)
    if image.mode == "F":
        raise BenchError(
            f"the image {path} holds floating-point values, whose range is unknown; save it with 8 or 16 bits"
        )
    if image.mode in ("RGB", "L"):
        return image
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    return image.convert("L" if image.mode in ("1", "LA") else "RGB")


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, 3] to uint8 [size, size, 3]: Pillow's antialiased bilinear filter (its support grows with
    the reduction), without keeping the aspect ratio, as torchvision's `Resize((size, size))` of a PIL image.
    """
    from PIL import Image

    return image if image.shape[:2] == (size, size) else View(size).picture(Image.fromarray(image))


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """bool [H, W] to bool [size, size]: true where more than half of the area of a pixel is covered.

    The default rule of `prepare_masks`, of a mask that is binary already.
    """
    return mask if mask.shape == (size, size) else prepare_masks(mask, size)


def resize_depth(depth: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """float32 [H, W] to float32 [size, size], or (height, width): the area mean over measured pixels.

    A pixel has no measurement where it is 0 or not finite; a result without any below it is 0.
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    if depth.shape == (height, width):
        return depth
    valid = np.isfinite(depth) & (depth != 0)
    values = np.where(valid, depth, 0)
    total = cell_sums(cell_sums(values, height).T, width).T
    area = cell_sums(cell_sums(valid, height).T, width).T
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
