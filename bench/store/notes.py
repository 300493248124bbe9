"""Small JSON files beside the tasks that a store can do without: what cannot be read counts as absent."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.store.store import read_regular, write_atomically

Types = Mapping[str, type | tuple[type, ...]]


def read_note(path: Path, types: Types | None = None, optional: Types | None = None) -> Any:
    """The content of a JSON file; None where it is missing, damaged or not a regular file.

    With `types` it must be an object that has these fields, of these types; fields of `optional` are of these
    types where they are there.
    """
    try:
        content = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return None
    return content if types is None or has_fields(content, types, optional or {}) else None


def has_fields(content: object, types: Types, optional: Types = {}) -> bool:  # noqa: B006, it is only read
    """Whether an object has these fields, of these types."""
    if not isinstance(content, dict) or not types.keys() <= content.keys():
        return False
    expected = {**types, **optional}
    return all(isinstance(value, expected[name]) for name, value in content.items() if name in expected)


def write_note(path: Path, content: Any) -> None:
    """Write a JSON file that `read_note` reads."""
    write_over(path, json.dumps(content, sort_keys=True))


def write_over(path: Path, text: str) -> None:
    """Write a small file whole. A folder that lies in its place is moved aside, not deleted."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}.damaged-{uuid.uuid4().hex[:8]}"))
    write_atomically(path, text)
