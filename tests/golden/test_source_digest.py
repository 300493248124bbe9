"""Code keeps its digest where it is moved, renamed or explained, not where it does something else."""

import importlib
import itertools
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

source_digest = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("source_digest.py"))))

LOSSES = """
SCALE = 2.0

def area(side):
    return side * side

def unused(side):
    return -side
"""
ADAPTER = """
from {package}.losses import SCALE, area

class Adapter:
    '''Fits a square.'''

    imports = ("scipy.ndimage",)

    def fit(self, sides):
        total = 0.0
        for side in sides:
            total += area(side) * SCALE
        return total
"""

Write = Callable[..., str]
_NUMBERS = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a package of its own for each call and returns the digest of its `adapter:Adapter`."""
    monkeypatch.syspath_prepend(tmp_path)

    def digest_of(target: str = "adapter:Adapter", **modules: str) -> str:
        package = f"golden_case_{next(_NUMBERS)}"
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text.replace("{package}", package))
        importlib.invalidate_caches()
        return source_digest.digest(f"{package}.{target}", (package,))[0]

    return digest_of


def test_a_moved_definition_keeps_the_digest(write: Write) -> None:
    whole = ADAPTER.replace("from {package}.losses import SCALE, area", LOSSES)
    late = ADAPTER.replace("        total = 0.0", "        from {package} import losses\n        total = 0.0")
    late = late.replace("from {package}.losses import SCALE, area\n", "")
    late = late.replace("area(", "losses.area(").replace("SCALE", "losses.SCALE")
    before = write(adapter=ADAPTER, losses=LOSSES)
    assert write(adapter=whole) == write(adapter=late, losses=LOSSES) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total", "area_of_all"),
        ("area", "square"),
        ("SCALE", "FACTOR"),
        ("Fits a square.", "Fits squares."),
        ('("scipy.ndimage",)', '("numpy", "scipy.linalg")'),
        ("return -side", "return side"),
        ("return side * side", "return side * side  # both sides"),
    ],
)
def test_names_words_and_unused_code_keep_the_digest(write: Write, old: str, new: str) -> None:
    changed = write(adapter=ADAPTER.replace(old, new), losses=LOSSES.replace(old, new))
    assert changed == write(adapter=ADAPTER, losses=LOSSES)


def test_how_a_stage_plans_its_tasks_is_not_seen(write: Write) -> None:
    planned = ADAPTER + "\n    @staticmethod\n    def task(side):\n        return area(side)\n"
    assert write(adapter=planned, losses=LOSSES) == write(adapter=ADAPTER, losses=LOSSES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.0", "2.5"),
        ("side * side", "side + side"),
        ("total += area(side) * SCALE", "total = area(side) * SCALE"),
        ("def fit", "def sample"),
        ("return total", "return -total"),
        ("area(side) * SCALE", "SCALE * area(side)"),
    ],
)
def test_other_code_has_another_digest(write: Write, old: str, new: str) -> None:
    changed = write(adapter=ADAPTER.replace(old, new), losses=LOSSES.replace(old, new))
    assert changed != write(adapter=ADAPTER, losses=LOSSES)
