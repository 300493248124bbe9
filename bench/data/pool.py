"""A pool: images of one category, decoded and resized once, then memory-mapped.

Folder: `images.npy` uint8 [N, H, W, 3]; `masks.npy` bool [N, H, W] where the images are anomalous;
`depth.npy` float32 [N, H, W] where there is depth; `base.npy` uint8 [N, H, W, 3] where a generator gave the
normal image that it changed; `index.json` with one entry an image: defect, stem and notes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Pool:
    """Images of one category at one resolution, in order."""

    images: np.ndarray
    masks: np.ndarray | None
    depth: np.ndarray | None
    base: np.ndarray | None
    items: tuple[dict[str, Any], ...]
    """Each has at least `defect` ("good" for normal images) and `stem`."""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def defects(self) -> tuple[str, ...]:
        return tuple(item["defect"] for item in self.items)

    def mask(self, row: int) -> np.ndarray:
        """bool [H, W]; all false where the pool has no masks."""
        if self.masks is None:
            return np.zeros(self.images.shape[1:3], dtype=bool)
        return np.asarray(self.masks[row])

    def rows(self, defect: str) -> list[int]:
        return [row for row, item in enumerate(self.items) if item["defect"] == defect]


def open_pool(folder: Path) -> Pool:
    """Open a pool that `write_pool` made, without reading its pixels."""

    def mapped(name: str) -> np.ndarray | None:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None

    images = mapped("images")
    assert images is not None, f"{folder} holds no images.npy"
    items = json.loads((folder / "index.json").read_text())
    return Pool(images, mapped("masks"), mapped("depth"), mapped("base"), tuple(items))


def joined(pools: Sequence[Pool], folder: Path) -> Pool:
    """The images of several pools of one resolution as one, in order, written into `folder`.

    It has depth where all of them have, and neither masks nor bases: the images are normal. Detectors index
    one array, and a memory map of a copy costs no memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = ("depth",) if all(pool.depth is not None for pool in pools) else ()
    count = sum(len(pool) for pool in pools)
    writer = PoolWriter(folder, count, pools[0].images.shape[1], fields=fields)
    for pool in pools:
        for row, item in enumerate(pool.items):
            values = {"depth": pool.depth[row]} if fields and pool.depth is not None else {}
            writer.add(item, pool.images[row], **values)
    writer.close()
    return open_pool(folder)


class PoolWriter:
    """Writes a pool image by image, so that memory stays at one image."""

    def __init__(self, folder: Path, count: int, resolution: int, *, fields: tuple[str, ...]) -> None:
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "images": ((count, resolution, resolution, 3), np.uint8),
            "masks": ((count, resolution, resolution), np.bool_),
            "depth": ((count, resolution, resolution), np.float32),
            "base": ((count, resolution, resolution, 3), np.uint8),
        }
        self.folder = folder
        self.items: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        for name in ("images", *fields):
            shape, dtype = shapes[name]
            path = folder / f"{name}.npy"
            if count:
                self.arrays[name] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
            else:
                np.save(path, np.empty(shape, dtype))

    def add(self, item: dict[str, Any], image: np.ndarray, **fields: np.ndarray) -> None:
        row = len(self.items)
        for name, value in {"images": image, **fields}.items():
            self.arrays[name][row] = value
        self.items.append(item)

    def close(self) -> None:
        for array in self.arrays.values():
            array.flush()  # type: ignore[attr-defined]
        (self.folder / "index.json").write_text(json.dumps(self.items, indent=0, sort_keys=True))
