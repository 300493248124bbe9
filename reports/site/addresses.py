"""Names of files and anchors from names that a user chose: plain letters, short, one for each name."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 40


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A file name of a-z, 0-9, "_" and "-" for each name, different for different names."""
    slug_of: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        if name in slug_of:
            continue
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        stem = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:LONGEST].strip("-") or "x"
        slug, number = stem, 2
        while slug in used:
            slug, number = f"{stem}-{number}", number + 1
        used.add(slug)
        slug_of[name] = slug
    return slug_of
