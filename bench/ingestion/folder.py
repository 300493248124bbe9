"""List folders from elsewhere: natural order, no file outside the folder, all problems reported at once."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from bench.data.layout import IMAGE_SUFFIXES, natural_key
from bench.errors import BenchError

SHOWN = 8
"""Problems spelled out in an error; the rest are counted."""


class Folder:
    """A folder whose files are not trusted; `problems` collects what is wrong with it."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BenchError(f"{root} is not a folder; give the folder that holds the files")
        self.root = root.resolve()
        self.problems: list[str] = []

    def folders(self, path: Path) -> list[Path]:
        """The folders in `path`, in natural order."""
        return [entry for entry in self._entries(path) if entry.is_dir()]

    def files(self, path: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
        """Stem to file of the regular files with these suffixes, in natural order; stems in normal form C.

        Two files with one stem are a problem: it is not clear which is meant.
        """
        files: dict[str, Path] = {}
        for entry in self._entries(path):
            if entry.suffix.lower() not in suffixes or not entry.is_file():
                continue
            stem = unicodedata.normalize("NFC", entry.stem)
            if stem in files:
                self.problems.append(f"{self.name(entry)} and {files[stem].name} have one stem")
            else:
                files[stem] = entry
        return files

    def name(self, path: Path) -> str:
        """The path as the user sees it in the folder."""
        return path.relative_to(self.root).as_posix()

    def refuse(self, advice: str) -> None:
        """Raise one BenchError that lists the problems, if there are any."""
        if not self.problems:
            return
        listing = "; ".join(self.problems[:SHOWN])
        more = len(self.problems) - SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"
        raise BenchError(f"{self.root} has {count}: {listing}{rest}. {advice}")

    def _entries(self, path: Path) -> list[Path]:
        if not path.is_dir():
            return []
        try:
            entries = sorted(path.iterdir(), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            raise BenchError(f"cannot list {path}: {error.strerror}; check its permissions") from None
        return [entry for entry in entries if not entry.name.startswith(".") and self._is_inside(entry)]

    def _is_inside(self, entry: Path) -> bool:
        if not entry.is_symlink():
            return True
        try:
            inside = entry.resolve(strict=True).is_relative_to(self.root)
        except (OSError, RuntimeError):
            self.problems.append(f"{self.name(entry)} is a link to nothing")
            return False
        if not inside:
            self.problems.append(f"{self.name(entry)} is a link that leaves the folder; copy the file")
        return inside


def categories_of(
    folder: Folder, categories: Sequence[str], parts_of_a_category: frozenset[str]
) -> dict[str, Path]:
    """Category to its folder. Where the data set has one category, the root itself may be its folder.

    The root is taken for the category's folder if it holds one of `parts_of_a_category` and no folder of
    the category's name. Folders of other names are problems.
    """
    entries = {unicodedata.normalize("NFC", entry.name): entry for entry in folder.folders(folder.root)}
    if len(categories) == 1 and categories[0] not in entries and parts_of_a_category & set(entries):
        return {categories[0]: folder.root}
    names = ", ".join(categories[:6]) + ", ..." * (len(categories) > 6)
    for name in entries:
        if name not in categories:
            folder.problems.append(f"{name}/ is not a category of the data set ({names})")
    return {name: entries[name] for name in categories if name in entries}
