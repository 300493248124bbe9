"""What the conformance suites of generators and detectors share: findings, and how checks are run."""

import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from bench.errors import BenchError

Trial = TypeVar("Trial")


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


def run_all(checks: Sequence[Callable[[Trial], None]], trial: Trial, missing: Sequence[str]) -> list[Result]:
    """The result of each check; all are skipped, with the reason, where weights or packages are missing."""
    if missing:
        return [Result(check.__name__, "skipped", missing[0]) for check in checks]
    results = []
    for check in checks:
        try:
            check(trial)
            results.append(Result(check.__name__, "ok", ""))
        except Exception as error:  # whatever an adapter under test may raise is a finding
            note = str(error) if isinstance(error, (Nonconformance, BenchError)) else repr(error)
            results.append(Result(check.__name__, "failed", note))
    return results


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path to bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def randomness() -> dict[str, bytes]:
    """The state of the global generators of random, numpy and (where it is loaded) torch."""
    state = {"random": repr(random.getstate()).encode()}
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - read, to see that nobody drew from it
    state["numpy"] = repr(numpy_state[2:]).encode() + np.asarray(numpy_state[1]).tobytes()
    if "torch" in sys.modules:
        state["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return state
