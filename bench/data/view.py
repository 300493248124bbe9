"""At which size, and cut how, a method sees the images: the whole stretched to a square, or the centre.

`crop` is what torchvision's `Resize(short_side)` and `CenterCrop(side)` do of a PIL image, as the releases of
SeaS, GLASS and PatchCore have it: the proportions stay, and what lies outside the centre is not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from bench.metrics.masks import prepare_masks

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["stretch", "crop"]
Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class View:
    """Images of `side` x `side` pixels, made from the original files.

    stretch: the whole image, whatever its proportions; crop: the short side is resized to `short_side`
    (`side` where it is None), the other in proportion, and the centre is cut out. ValueError for what cannot
    be.
    """

    side: int
    fit: Fit = "stretch"
    short_side: int | None = None

    def __post_init__(self) -> None:
        if self.side < 1 or self.fit not in ("stretch", "crop"):
            raise ValueError(f"a view has a side of 1 or more, and the fit stretch or crop, not {self}")
        if self.short_side is not None and self.fit == "stretch":
            raise ValueError("short_side belongs to the fit crop; leave it out for stretch")
        if self.short_side is not None and self.short_side < self.side:
            raise ValueError(f"a side of {self.side} cannot be cut from a short side of {self.short_side}")

    def __str__(self) -> str:
        if self.fit == "stretch":
            return f"{self.side} x {self.side} pixels, the whole image"
        return (
            f"{self.side} x {self.side} pixels, the centre of a short side of {self.short_side or self.side}"
        )

    @property
    def params(self) -> dict[str, int]:
        """The view as parameters of a task."""
        cut = {"short_side": self.short_side or self.side} if self.fit == "crop" else {}
        return {"resolution": self.side, **cut}

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """The view that stands in the parameters of a task."""
        short_side = params.get("short_side")
        return cls(params["resolution"], "stretch" if short_side is None else "crop", short_side)

    def whole(self, size: Size) -> Size:
        """Height and width that a whole image of this size is resized to, before anything is cut."""
        if self.fit == "stretch":
            return self.side, self.side
        height, width = size
        short = self.short_side or self.side
        long = int(short * max(size) / min(size))
        return (short, long) if height <= width else (long, short)

    def corner(self, size: Size) -> tuple[int, int]:
        """Row and column of the resized image at which the square begins."""
        height, width = self.whole(size)
        return round((height - self.side) / 2), round((width - self.side) / 2)

    def cut(self, resized: np.ndarray, size: Size) -> np.ndarray:
        """The square [side, side, ...] of what was resized to `whole(size)`."""
        row, column = self.corner(size)
        return np.ascontiguousarray(resized[row : row + self.side, column : column + self.side])

    def picture(self, image: "Image.Image", size: Size | None = None) -> np.ndarray:
        """uint8 [side, side, 3] of an RGB or grey image: Pillow's antialiased bilinear filter.

        `size` is that of the original, where the image was stretched.
        """
        from PIL import Image

        size = size or (image.height, image.width)
        height, width = self.whole(size)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        values = self.cut(np.asarray(image), size)  # grey: three equal channels give three equal results
        return values if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)

    def mask(self, mask: np.ndarray, size: Size | None = None, rule: str = "half") -> np.ndarray:
        """bool [side, side] of a bool mask, by its share of a pixel's area and a rule of `prepare_masks`."""
        size = size or (mask.shape[0], mask.shape[1])
        whole = self.whole(size)
        resized = mask if mask.shape == whole and rule == "half" else prepare_masks(mask, whole, rule=rule)
        return self.cut(resized, size)

    def in_frame(self, maps: np.ndarray, size: Size, frame: int) -> np.ndarray:
        """Maps [N, side, side] of images of one size as float32 [N, frame, frame], over the whole image
        stretched to a square: bilinear, and NaN where the view does not reach."""
        rows, columns = self._axes(size, frame)
        placed = rows.weights @ maps.astype(np.float64) @ columns.weights.T
        placed[:, ~self.visible(size, frame)] = np.nan
        return placed.astype(np.float32)

    def visible(self, size: Size, frame: int) -> np.ndarray:
        """bool [frame, frame]: the pixels of the whole image, stretched to a square, that the view shows."""
        rows, columns = self._axes(size, frame)
        return rows.visible[:, None] & columns.visible

    def _axes(self, size: Size, frame: int) -> tuple["_Axis", "_Axis"]:
        rows, columns = zip(self.whole(size), self.corner(size), strict=True)
        return _axis(*rows, self.side, frame), _axis(*columns, self.side, frame)


@dataclass(frozen=True)
class _Axis:
    """From the pixels of a view to those of the frame, along one axis."""

    weights: np.ndarray
    """float64 [frame, side]"""
    visible: np.ndarray
    """bool [frame]: whether the middle of a pixel of the frame lies in the view."""


@lru_cache(maxsize=64)
def _axis(whole: int, start: int, side: int, frame: int) -> _Axis:
    """Bilinear weights between the middles of pixels, as torch's interpolation without `align_corners`."""
    at = (np.arange(frame) + 0.5) * whole / frame - start - 0.5
    nearest = np.clip(at, 0, side - 1)
    below = np.floor(nearest).astype(int)
    above = np.minimum(below + 1, side - 1)
    weights, row = np.zeros((frame, side)), np.arange(frame)
    weights[row, below] += 1 - (nearest - below)
    weights[row, above] += nearest - below
    return _Axis(weights, (at >= -0.5) & (at < side - 0.5))
