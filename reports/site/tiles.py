"""Small pictures: an image with the outline of its mask, an anomaly map in colour, strips of such tiles."""

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image

OUTLINE = (0, 255, 170)
GAP = 3


def tile(image: np.ndarray, size: int) -> np.ndarray:
    """An image uint8 [H, W, 3] as uint8 [size, size, 3]."""
    shrinks = image.shape[0] > size
    filter_ = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((size, size), filter_))


def outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A tile uint8 [S, S, 3] with the outline of a mask bool [H, W]: a bright line, a dark one outside it."""
    return with_outline(picture, *outline(mask, picture.shape[0]))


def outline(mask: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the bright and the dark line of a mask bool [H, W] lie in a tile: bool [size, size] each."""
    coverage = Image.fromarray(mask.astype(np.uint8) * 255).resize((size, size), Image.Resampling.BOX)
    # Any coverage counts: a scratch one pixel wide must not vanish from a small tile.
    inside = np.asarray(coverage) > 0
    ring = _grown(inside) & ~inside
    return ring, _grown(ring | inside) & ~ring & ~inside


def with_outline(picture: np.ndarray, bright: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """A tile uint8 [S, S, 3] with the two lines of an outline."""
    out = picture.copy()
    out[dark] = (0, 0, 0)
    out[bright] = OUTLINE
    return out


def _grown(area: np.ndarray) -> np.ndarray:
    """A bool area [S, S] and its four-neighbours."""
    out = area.copy()
    out[1:] |= area[:-1]
    out[:-1] |= area[1:]
    out[:, 1:] |= area[:, :-1]
    out[:, :-1] |= area[:, 1:]
    return out


def heat(amap: np.ndarray, low: float, high: float, size: int) -> np.ndarray:
    """An anomaly map float32 [H, W] in colour, uint8 [size, size, 3]; low is dark, high is bright."""
    scaled = np.clip((np.nan_to_num(amap) - low) / max(high - low, 1e-12), 0.0, 1.0).astype(np.float32)
    small = Image.fromarray(scaled).resize((size, size), Image.Resampling.BOX)
    return _colours()[np.round(np.asarray(small) * 255).astype(np.uint8)]


@functools.cache
def _colours() -> np.ndarray:
    """The inferno colour map, uint8 [256, 3]: even steps of lightness, readable without colour vision."""
    from matplotlib import colormaps

    return np.round(colormaps["inferno"](np.arange(256))[:, :3] * 255).astype(np.uint8)


def strip(tiles: Sequence[np.ndarray], vertical: bool = False) -> np.ndarray:
    """Tiles of one size beside (or below) each other with a white gap."""
    size = tiles[0].shape[0]
    gap = np.full((GAP, size, 3) if vertical else (size, GAP, 3), 255, np.uint8)
    parts = [part for picture in tiles for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=0 if vertical else 1)
