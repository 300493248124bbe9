"""Which folder holds which category in a folder from elsewhere."""

import difflib
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from bench.data.folder import Folder


def categories_of(
    folder: Folder, categories: Sequence[str], parts_of_a_category: frozenset[str]
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Category to its folder, and folders that are left out, because the data set has no such category.

    Where the data set has one category, the root itself may be its folder: if it holds one of
    `parts_of_a_category` and no folder of the category's name. A folder of another name is a problem where
    it may be a category that is missing, misspelt, or where no category is there at all.
    """
    entries = {unicodedata.normalize("NFC", entry.name): entry for entry in folder.folders(folder.root)}
    if len(categories) == 1 and categories[0] not in entries and parts_of_a_category & set(entries):
        return {categories[0]: folder.root}, ()
    missing = [name for name in categories if name not in entries]
    names = ", ".join(categories[:6]) + ", ..." * (len(categories) > 6)
    left_out = []
    for name in entries:
        if name in categories:
            continue
        if len(missing) == len(categories) or difflib.get_close_matches(name, missing, n=1):
            folder.problems.append(f"{name}/ is not a category of the data set ({names})")
        else:
            left_out.append(f"{name}/")
    return {name: entries[name] for name in categories if name in entries}, tuple(left_out)
