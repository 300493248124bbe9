"""List folders that are not trusted: data sets, and what was made elsewhere.

Natural order ("2" before "10"); hidden files and what operating systems leave behind are passed over; links
must stay in the folder; what is wrong is collected, so that it can be reported at once.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from bench.errors import BenchError
from bench.files import kind_of

_SUFFIXES = "png jpg jpeg jpe jfif bmp dib tif tiff webp gif ppm pgm pbm pnm jp2 j2k tga avif"
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in re.findall(r"\w+", _SUFFIXES))
SHOWN = 8
"""Problems spelled out in an error; the rest are counted."""
_JUNK = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        *("$recycle.bin", "system volume information", "lost+found"),
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        *("@eadir", "@recycle", "#recycle", "@tmp", "#snapshot", "__pycache__"),
    }
)
"""In lower case."""


def is_junk(name: str) -> bool:
    """Whether an operating system, a file server or an editor left this: `.DS_Store`, `._a.png`, `.nfs01`,
    `.ipynb_checkpoints` and all else that is hidden, `Thumbs.db`, `__MACOSX`, `@eaDir`, `lost+found`."""
    return name.startswith(".") or name.lower() in _JUNK


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key under which "2" comes before "10"; ties ("2", "02") by the name itself."""
    name = unicodedata.normalize("NFC", name)
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in pieces), name


def is_image(path: Path) -> bool:
    """Whether the suffix, in any case, is that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def stem_of(path: Path) -> str:
    """The name without its suffix, in Unicode normal form C, so that it is the same on every system."""
    return unicodedata.normalize("NFC", path.stem)


def printable(name: str) -> str:
    """The name with bytes that are not UTF-8 spelt out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Folder:
    """A folder whose files are not trusted; `problems` collects what is wrong with it."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BenchError(f"{root} is not a folder; give the folder that holds the files")
        self.root = root.resolve()
        self.problems: list[str] = []
        self._faults: list[tuple[Path, str]] = []
        self._inside = (self.root, *_blobs(self.root))
        self._listings: dict[Path, list[Path]] = {}

    def folders(self, path: Path) -> list[Path]:
        """The folders in `path`, in natural order."""
        return [entry for entry in self.entries(path) if entry.is_dir()]

    def files(self, path: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
        """Stem to file of the regular files with these suffixes, in natural order.

        Two files with one stem are a problem: it is not clear which is meant.
        """
        files: dict[str, Path] = {}
        for entry in self.entries(path):
            if entry.suffix.lower() not in suffixes or not entry.is_file():
                continue
            stem = stem_of(entry)
            if stem in files:
                self.problems.append(f"{self.name(entry)} and {files[stem].name} have one stem")
            else:
                files[stem] = entry
        return files

    def entries(self, path: Path) -> list[Path]:
        """What is in `path`, in natural order; nothing where it is not a folder, or lies outside."""
        if path not in self._listings:
            self._listings[path] = self._list(path) if path.is_dir() else []
        return self._listings[path]

    def name(self, path: Path) -> str:
        """The path as the user sees it in the folder, printable."""
        return printable(path.relative_to(self.root).as_posix())

    def refuse(self, advice: str, within: Path | None = None) -> None:
        """Raise one BenchError that lists the problems, if there are any.

        With `within`, only of what was listed in that folder.
        """
        problems = self.problems
        if within is not None:
            problems = [what for path, what in self._faults if path.is_relative_to(within)]
        if not problems:
            return
        listing = "; ".join(problems[:SHOWN])
        more = len(problems) - SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise BenchError(f"{printable(str(self.root))} has {count}: {listing}{rest}. {advice}")

    def _list(self, path: Path) -> list[Path]:
        if not self._is_inside(path):
            return []
        try:
            with os.scandir(path) as scan:
                entries = [entry for entry in scan if not is_junk(entry.name)]
        except OSError as error:
            raise BenchError(f"cannot list {path}: {error.strerror}; check its permissions") from None
        entries.sort(key=lambda entry: natural_key(entry.name))
        return [path / entry.name for entry in entries if self._is_sound(path / entry.name, entry)]

    def _is_sound(self, path: Path, entry: "os.DirEntry[str]") -> bool:
        if entry.is_symlink() and not self._is_inside(path):
            return False
        is_folder = entry.is_dir()
        if not is_folder and not entry.is_file():
            return self._fault(path, f"is {kind_of(entry.stat().st_mode)}, not a regular file")
        if (is_folder or is_image(path)) and entry.name != printable(entry.name):
            return self._fault(path, "has a name that is not UTF-8; rename it")
        return True

    def _is_inside(self, path: Path) -> bool:
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return self._fault(path, "is a link to nothing")
        if any(resolved.is_relative_to(root) for root in self._inside):
            return True
        return self._fault(path, "is a link that leaves the folder; copy what it points to")

    def _fault(self, path: Path, what: str) -> Literal[False]:
        fault = (path, f"{self.name(path)} {what}")
        if fault not in self._faults:
            self._faults.append(fault)
            self.problems.append(fault[1])
        return False


def _blobs(root: Path) -> Iterable[Path]:
    """Where a snapshot of a hub's cache (`REPOSITORY/snapshots/REVISION`) keeps its files."""
    for parent in root.parents:
        blobs = parent.parent / "blobs"
        if parent.name == "snapshots" and blobs.is_dir() and not blobs.is_symlink():
            yield blobs
