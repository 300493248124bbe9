"""Where the five packages that make up DefectBench lie, and how a process of the same ones is started."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from bench.errors import BenchError

HOME = Path(__file__).resolve().parents[1]
"""The folder of the five packages."""
PACKAGES = ("bench", "generators", "detectors", "protocols", "reports")


def check_system() -> None:
    """Raise BenchError on a system without the locks and processes that runs rest on."""
    if find_spec("fcntl") is None:
        raise BenchError(
            "DefectBench runs on Linux and macOS, and this system lacks what it rests on (fcntl); "
            "on Windows install it in WSL 2"
        )


def check_packages() -> None:
    """Raise BenchError where another package shadows one of the five: their names are common words."""
    check_system()
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise BenchError(f"the package '{name}' of defectbench is not installed; reinstall defectbench")
        folder = Path(spec.origin).resolve().parent
        if folder.parent != HOME:
            raise BenchError(
                f"the package '{name}' is taken from {folder}, not from {HOME / name}: another package of "
                "that name comes first; run bench from another folder or in an environment of its own"
            )


def own_process(command: str) -> list[str]:
    """The words that start `bench COMMAND` with the packages of this process, whatever folder it is in.

    Where else this process looks for modules (a plug-in may need it), the new one looks last.
    """
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 the empty path is the current folder
    return [sys.executable, "-P", str(HOME / "bench" / "__main__.py"), command, *paths]
