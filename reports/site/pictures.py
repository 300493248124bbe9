"""Picture files beside a page: named by their content, so that the same picture is written once."""

import hashlib
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = "img"
_NAME = re.compile(r"[0-9a-f]{24}\.jpg")


@dataclass(frozen=True)
class Picture:
    """A picture in a page: where it lies from there, its size in pixels, and what it shows in words."""

    href: str
    width: int
    height: int
    alt: str


@dataclass
class Album:
    """Collects the pictures of the pages of one folder and forgets those that no page shows any more."""

    out: Path
    used: set[str] = field(default_factory=set)

    def add(self, pixels: np.ndarray, alt: str) -> Picture:
        """Write pixels uint8 [H, W, 3] as a JPEG, whole or not at all."""
        buffer = io.BytesIO()
        # Full chroma: thin coloured outlines smear under the usual 4:2:0.
        Image.fromarray(pixels).save(buffer, "JPEG", quality=84, subsampling=0)
        name = hashlib.sha256(buffer.getvalue()).hexdigest()[:24] + ".jpg"
        folder = self.out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        if name not in self.used and not (folder / name).exists():
            part = folder / f"{name}.part"
            part.write_bytes(buffer.getvalue())
            part.replace(folder / name)
        self.used.add(name)
        return Picture(f"{FOLDER}/{name}", pixels.shape[1], pixels.shape[0], alt)

    def sweep(self) -> None:
        """Remove pictures of earlier pages. Files that were not written here stay."""
        folder = self.out / FOLDER
        if folder.is_dir():
            for path in folder.iterdir():
                if path.name.endswith(".jpg.part") or (
                    _NAME.fullmatch(path.name) and path.name not in self.used
                ):
                    path.unlink()
