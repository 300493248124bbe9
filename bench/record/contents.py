"""Whether files that pages and tables read hold what their stage writes, in the types that it writes.

A digest says that a file is the one of its manifest. It does not say that whoever made both wrote a record.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from bench.record.labels import CellLabels
from bench.record.record import Record, Status, read_records

RECORD_FILES = ("records.jsonl", "dialects.jsonl")
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
_NUMBER = (int, float)
_PAIRS = [{"generated": int, "side": str, "real": int, "distance": _NUMBER}]
_SHAPES: Mapping[str, Any] = {
    "curves.json": {str: {str: [[_NUMBER]]}},
    "nearest.json": {"types": {str: {"copy_distance": _NUMBER, "pairs": _PAIRS}}},
    "pairs.json": [{"category": str, "base": str, "test": str, "distance": _NUMBER}],
}
"""By the name of a JSON file: [S] is a list of S, {str: S} an object of S, {"name": S} one with a field."""
_MAY_LACK = frozenset({"pairs", "copy_distance"})
_POOL = [{"defect": str}]


def file_fault(out: Path, name: str, labels: Any) -> str:
    """Why the file `name` below a task's out/ is not what its stage writes, or an empty text.

    labels: what the task's definition says of its cell; None where it is not a score.
    """
    try:
        if name in RECORD_FILES:
            fault = _records_fault(out / name, labels)
        elif name in _SHAPES:
            fault = _shape_fault(out / name, _SHAPES[name])
        elif name == "index.json" and (out / "images.npy").exists():
            fault = _shape_fault(out / name, _POOL)
        elif name.startswith("replicates/"):
            fault = _draws_fault(out / name)
        else:
            return ""
    except _UNREADABLE as error:
        fault = f"it cannot be read ({type(error).__name__})"
    return f"{name}: {fault}" if fault else ""


def types_fault(row: CellLabels, of: type) -> str:
    """The first field of a record, or of labels, whose value is not of the type of its default."""
    for name, fits in _FITS[of].items():
        if not fits(value := getattr(row, name)):
            return f"'{name}' is {value!r:.40}"
    return ""


def _records_fault(path: Path, labels: Any) -> str:
    if not isinstance(labels, dict):
        return "its task has no labels"
    for row in read_records(path):
        if fault := types_fault(row, Record) or _value_fault(row) or _cell_fault(row, labels):
            return fault
    return ""


def _value_fault(row: Record) -> str:
    if row.kind != "measured":
        return f"'kind' is {row.kind!r:.40}, not 'measured'"
    if row.status not in get_args(Status):
        return f"'status' is {row.status!r:.40}"
    if row.direction not in ("higher", "lower"):
        return f"'direction' is {row.direction!r:.40}"
    if (row.value is None) == (row.status == "ok"):
        return f"'value' is {row.value} where 'status' is '{row.status}'"
    return ""


def _cell_fault(row: Record, labels: Mapping[str, Any]) -> str:
    """Whether a record says of its cell what the key of its task says of it."""
    odd = [name for name, value in labels.items() if name != "defect" and getattr(row, name, None) != value]
    return f"its {odd[0]} is not that of its task" if odd else ""


def _draws_fault(path: Path) -> str:
    draws = np.load(path, allow_pickle=False)
    is_line = isinstance(draws, np.ndarray) and draws.ndim == 1 and draws.dtype == np.float64
    return "" if is_line else "it is not a line of float64"


def _shape_fault(path: Path, shape: Any) -> str:
    return "" if _has_shape(json.loads(path.read_bytes()), shape) else "it is not of the shape that it has"


def _has_shape(value: Any, shape: Any) -> bool:
    if isinstance(shape, list):
        return isinstance(value, list) and all(_has_shape(item, shape[0]) for item in value)
    if not isinstance(shape, dict):
        return isinstance(value, shape) and not isinstance(value, bool)
    if not isinstance(value, dict):
        return False
    if str in shape:
        return all(_has_shape(item, shape[str]) for item in value.values())
    return all(
        _has_shape(value[name], of_field) if name in value else name in _MAY_LACK
        for name, of_field in shape.items()
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 62


def _is_number_or_none(value: object) -> bool:
    return value is None or (type(value) in _NUMBER and math.isfinite(value))  # type: ignore[arg-type]


def _fits_default(default: object) -> Callable[[object], bool]:
    if default is None:
        return _is_number_or_none
    return _is_count if isinstance(default, int) else _is_text


_FITS: Mapping[type, Mapping[str, Callable[[object], bool]]] = {
    of: {field.name: _fits_default(field.default) for field in fields(of)} for of in (Record, CellLabels)
}
