"""TOML as a baseline is written: tables, one value per line, inline tables where a line is one metric."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def line(name: str, value: Any) -> str:
    """`name = value`."""
    return f"{key(name)} = {text(value)}\n"


def table(header: str, content: Mapping[str, Any]) -> str:
    """A table with one line per value; values that are tables follow as tables below it."""
    plain = {name: value for name, value in content.items() if not isinstance(value, Mapping)}
    nested = {name: value for name, value in content.items() if isinstance(value, Mapping)}
    bare = header.strip("[]")
    parts = [f"\n{header}\n", *(line(name, value) for name, value in plain.items())]
    parts += [table(f"[{bare}.{key(name)}]", value) for name, value in nested.items() if value]
    return "".join(parts)


def key(name: str) -> str:
    return name if _BARE.fullmatch(name) else text(name)


def text(value: Any) -> str:
    """A value; None and values that TOML has no word for become text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key(str(name))} = {text(entry)}" for name, entry in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(text(entry) for entry in value)}]"
    plain = "none" if value is None else str(value)
    # json leaves DEL as it is, TOML does not allow it; a name from a file system may not be valid Unicode
    safe = plain.encode("utf-8", "backslashreplace").decode()
    return json.dumps(safe, ensure_ascii=False).replace("\x7f", "\\u007F")
