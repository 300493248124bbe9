"""Decode and resize images into a pool, once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from bench.data.decoding import decode_in_order
from bench.data.images import read_depth, read_mask, read_viewed, resize_depth
from bench.data.layout import GOOD, Item
from bench.data.pool import PoolWriter
from bench.data.view import View
from bench.errors import BenchError


def build_pool(
    items: Sequence[tuple[Item, str]],
    out: Path,
    view: View,
    *,
    progress: Callable[..., None] | None = None,
    workers: int | None = None,
    filter: Literal["bilinear", "nearest"] = "bilinear",
) -> None:
    """Write the pool of `(item, defect)` pairs into the folder `out`, in their order.

    Images, masks and depth maps are made from their files as `view` says. Defect is "good" for normal images.
    The pool has masks where any item has one (normal items get an all-false one), and depth where every item
    has a depth map. Each entry of its index holds `defect`, `stem`, and `size`, the [width, height] of the
    file. `filter` is that of `read_viewed`, for images alone. Raises BenchError for what cannot be read, for
    a defective item without a mask among some that have one, and for a mask or depth map of another size than
    its image.
    """
    out.mkdir(parents=True, exist_ok=True)
    masks = any(defect != GOOD and item.mask_path is not None for item, defect in items)
    depth = bool(items) and all(item.depth_path is not None for item, _ in items)
    fields = ("masks",) * masks + ("depth",) * depth
    writer = PoolWriter(out, len(items), view.side, fields=fields)

    def decode(pair: tuple[Item, str]) -> tuple[list[int], np.ndarray, dict[str, np.ndarray]]:
        item, defect = pair
        image, shape = read_viewed(item.path, view, filter=filter)
        values = {}
        if masks:
            values["masks"] = _mask(item, defect, shape, view)
        if depth:
            values["depth"] = view.cut(resize_depth(_depth(item, shape), view.whole(shape)), shape)
        return [shape[1], shape[0]], image, values

    decoded = decode_in_order(decode, items, _files, workers)
    for done, ((item, defect), (size, image, values)) in enumerate(zip(items, decoded, strict=True), 1):
        writer.add({"defect": defect, "stem": item.stem, "size": size}, image, **values)
        if progress is not None:
            progress(done, len(items))
    writer.close()


def _files(pair: tuple[Item, str]) -> tuple[Path | None, ...]:
    item, defect = pair
    return item.path, None if defect == GOOD else item.mask_path, item.depth_path


def _mask(item: Item, defect: str, shape: tuple[int, int], view: View) -> np.ndarray:
    if defect == GOOD:
        return np.zeros((view.side, view.side), dtype=bool)
    if item.mask_path is None:
        raise BenchError(
            f"the defect image {item.path} has no mask; add it to ground_truth or move the image"
        )
    mask = read_mask(item.mask_path)
    _same_size("mask", item.mask_path, mask, shape)
    return view.mask(mask)


def _depth(item: Item, shape: tuple[int, int]) -> np.ndarray:
    assert item.depth_path is not None
    depth = read_depth(item.depth_path)
    _same_size("depth map", item.depth_path, depth, shape)
    return depth


def _same_size(what: str, path: Path, values: np.ndarray, shape: tuple[int, int]) -> None:
    if values.shape != shape:
        ours, theirs = (f"{size[1]}x{size[0]}" for size in (values.shape, shape))
        raise BenchError(f"the {what} {path} is {ours}, its image {theirs}; make them equal")
