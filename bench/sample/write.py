"""The sample data set as a folder, in the layout of MVTec AD or of MVTec 3D-AD.

The folder appears whole or not at all: it is written beside its place under another name and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from bench.sample.render import DISTANCE, FIELD_OF_VIEW, Rendered, render
from bench.sample.spec import RENDERER_VERSION, SampleItem, SampleSpec, items

_CHUNK = 8  # items a worker takes at a time
_PNG_EFFORT = 3  # of zlib; sensor noise packs no better at 9


def write(
    spec: SampleSpec,
    root: Path | str,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the data set into the folder `root` and return it.

    Where `root` already holds the data set of this spec and renderer it is kept as it is. `progress` is
    called with the images done and the images in all. Raises FileExistsError where `root` holds anything
    else and ValueError for `workers` under 1. The bytes do not depend on `workers`.
    """
    if workers < 1:
        raise ValueError(f"sample data: workers is {workers}; give 1 or more")
    root = Path(root).absolute()
    label = _label(spec)
    if _holds(root, label):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    partial = root.parent / f".{root.name}.partial-{socket.gethostname()}-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        all_items = list(items(spec))
        done = 0
        for count in _write_all(spec, partial, all_items, workers):
            done += count
            if progress is not None:
                progress(done, len(all_items))
        (partial / "sample.json").write_text(label, encoding="utf-8")
        try:
            partial.replace(root)
        except OSError:
            if not _holds(root, label):  # another process may have written the same meanwhile
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _label(spec: SampleSpec) -> str:
    """The text of `sample.json`: all that the bytes of the data set depend on."""
    return json.dumps({"renderer_version": RENDERER_VERSION, **asdict(spec)}, indent=2, sort_keys=True) + "\n"


def _holds(root: Path, label: str) -> bool:
    """Whether `root` is this very data set; an error where it is another, or anything else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    label_file = root / "sample.json"
    if not label_file.is_file():
        raise FileExistsError(f"{root} exists and is not a sample data set; name another folder or remove it")
    written = label_file.read_text(encoding="utf-8")
    if written != label:
        raise FileExistsError(
            f"{root} holds a sample data set of other parameters ({_difference(written, label)}); "
            "name another folder or remove it"
        )
    return True


def _difference(written: str, label: str) -> str:
    try:
        old, new = json.loads(written), json.loads(label)
        return ", ".join(f"{k} {old.get(k)!r}, not {new[k]!r}" for k in new if old.get(k) != new[k])
    except (ValueError, AttributeError):
        return "its sample.json cannot be read"


def _sweep(root: Path) -> None:
    """Remove what killed runs on this host left beside `root`."""
    prefix = f".{root.name}.partial-{socket.gethostname()}-"
    for partial in root.parent.glob(f"{prefix}*"):
        process = partial.name.removeprefix(prefix)
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(partial, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_all(spec: SampleSpec, folder: Path, all_items: list[SampleItem], workers: int) -> Iterator[int]:
    """Write every item; yields the count of each lot that is done."""
    for item in all_items:
        for path in _paths(spec, item):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
    lots = [all_items[k : k + _CHUNK] for k in range(0, len(all_items), _CHUNK)]
    folder.mkdir(parents=True, exist_ok=True)
    if workers == 1:
        for item in all_items:
            yield _write_lot(spec, folder, [item])
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent) as pool:
        futures = [pool.submit(_write_lot, spec, folder, lot) for lot in lots]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent is killed; it would wait for work for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _paths(spec: SampleSpec, item: SampleItem) -> list[Path]:
    """Where the item's files go: image and mask (mvtec), or image, points and mask (mvtec3d)."""
    name = f"{item.index:03d}"
    category = Path(item.category)
    if spec.layout == "mvtec3d":
        files = (("rgb", ".png"), ("xyz", ".tiff"), ("gt", ".png"))
        return [category / item.split / item.defect / kind / f"{name}{suffix}" for kind, suffix in files]
    image = category / item.split / item.defect / f"{name}.png"
    if item.defect == "good":
        return [image]
    return [image, category / "ground_truth" / item.defect / f"{name}_mask.png"]


def _write_lot(spec: SampleSpec, folder: Path, lot: Iterable[SampleItem]) -> int:
    """Render and write some items; returns how many."""
    count = 0
    for item in lot:
        rendered = render(spec, item.category, item.split, item.defect, item.index)
        image, *rest = (folder / path for path in _paths(spec, item))
        Image.fromarray(rendered.image).save(image, compress_level=_PNG_EFFORT)
        if spec.layout == "mvtec3d":
            tifffile.imwrite(rest[0], points(rendered))
        if rest:
            Image.fromarray(rendered.mask.astype(np.uint8) * 255).save(rest[-1])
        count += 1
    return count


def points(rendered: Rendered) -> NDArray[np.float32]:
    """The point of the surface under each pixel, [H, W, 3] float32 in metres, by a pinhole camera."""
    size = rendered.depth.shape[0]
    centres = (np.arange(size) + 0.5) / size - 0.5
    tangent = (centres * FIELD_OF_VIEW / DISTANCE).astype(np.float32)
    x, y = tangent[None, :] * rendered.depth, tangent[:, None] * rendered.depth
    return np.stack([x, y, rendered.depth], axis=-1)
