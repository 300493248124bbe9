"""What a check raises and reports, and what it compares: outputs, files of a model, global random states."""

import ast
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from bench.errors import BenchError

Outputs = dict[str, np.ndarray]
"""What a method gave, by name: `image 3`, `amap`."""
Subject = TypeVar("Subject")
Check = Callable[[Subject], str | None]
"""Raises Nonconformance where the method breaks the interface; may return a note."""


class Nonconformance(AssertionError):
    """An adapter breaks the interface: which point, and what was seen."""


class Result(NamedTuple):
    """One check of a suite."""

    check: str
    status: Literal["ok", "failed", "skipped"]
    note: str


def need(holds: bool, otherwise: str) -> None:
    """Raise Nonconformance with the sentence unless the condition holds."""
    if not holds:
        raise Nonconformance(otherwise)


def refuses(action: Callable[[], Any], otherwise: str) -> None:
    """The action must raise BenchError; any other error passes."""
    try:
        action()
    except BenchError:
        return
    raise Nonconformance(otherwise)


def differing(a: Outputs, b: Outputs) -> list[str]:
    """Names whose arrays are not equal, or that only one has."""
    return [name for name in {**a, **b} if not (name in a and name in b and _equal(a[name], b[name]))]


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path to bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def other_files(a: Path, b: Path) -> list[str]:
    """The files that do not have the same bytes in both folders."""
    first, second = contents(a), contents(b)
    return [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]


def randomness() -> dict[str, bytes]:
    """The state of the global generators of random, numpy and (where it is loaded) torch."""
    state = {"random": repr(random.getstate()).encode()}
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - read, to see that nobody drew from it
    state["numpy"] = repr(numpy_state[2:]).encode() + np.asarray(numpy_state[1]).tobytes()
    if "torch" in sys.modules:
        state["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return state


def touched_since(before: dict[str, bytes]) -> list[str]:
    """The global generators whose state is another than before."""
    return [name for name, state in randomness().items() if name in before and before[name] != state]


_MAKERS = {"default_rng", "RandomState", "PCG64", "MT19937", "Philox", "SFC64", "Random", "manual_seed"}


def own_randomness(source: Path) -> str | None:
    """`mine.py:23 calls default_rng`: the first line of a file that makes a random generator by itself."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in _MAKERS:
                return f"{source.name}:{node.lineno} calls {name}"
    return None
