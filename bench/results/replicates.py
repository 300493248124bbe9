"""The bootstrap replicates of a score."""

import functools
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np


class Replicates(Mapping[str, np.ndarray]):
    """The arrays that `bench.stages.score_detection.save_replicates` wrote, read as they are looked up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            content = (self.folder / f"{name}.npy").read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None
        start = content.index(b"\n") + 1
        shape, dtype = _header(content[:start])
        return np.frombuffer(content, dtype, offset=start).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.npy")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@functools.lru_cache
def _header(text: bytes) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a .npy file; `np.load` reads the same header of ten thousand files again."""
    file = io.BytesIO(text)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype
