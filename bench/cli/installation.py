"""Whether the five packages that make up DefectBench are found, and are ours."""

from importlib.util import find_spec
from pathlib import Path

from bench.errors import BenchError

PACKAGES = ("bench", "generators", "detectors", "protocols", "reports")


def check_packages() -> None:
    """Raise BenchError where another package shadows one of the five: their names are common words."""
    home = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise BenchError(f"the package '{name}' of defectbench is not installed; reinstall defectbench")
        folder = Path(spec.origin).resolve().parent
        if folder.parent != home:
            raise BenchError(
                f"the package '{name}' is taken from {folder}, not from {home / name}: another package of "
                "that name comes first; run bench from another folder or in an environment of its own"
            )
