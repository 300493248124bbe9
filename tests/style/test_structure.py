"""What the style promises of the source as a whole: names, sizes of modules, no import circles."""

import ast
import runpy
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[2]
PRODUCT = ("bench", "detectors", "generators", "protocols", "reports")
MOST_LINES = 500
EMPTY_WORDS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base2"}
TWO_MEANINGS = {
    "Negatives": "one interface, compiled by numba and in plain numpy",
}
"""Public class names that two modules may define, and why."""

vague: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("vague_names.py")))
MODULES = sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("folder", vague["CEILINGS"])
def test_a_folder_has_no_more_vague_names_than_its_ceiling(folder: str) -> None:
    count, lines = vague["report"](folder)
    ceiling = vague["CEILINGS"][folder]
    assert count <= ceiling, f"{count} vague names in {folder}, at most {ceiling}; rename some:\n{lines}"


def test_a_public_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    repeated = {name: lines for name, lines in places.items() if len(lines) > 1}
    assert {name: lines for name, lines in repeated.items() if name not in TWO_MEANINGS} == {}


def test_no_module_is_longer_than_500_lines() -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(ROOT.glob("tests/**/*.py")) + MODULES
    }
    assert {str(path): lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_module_or_folder_has_an_empty_name() -> None:
    paths = [path.relative_to(ROOT) for path in MODULES]
    assert [str(path) for path in paths if EMPTY_WORDS & set(path.with_suffix("").parts)] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    circles = import_circles()
    assert circles == [], "\n".join(" <-> ".join(circle) for circle in circles)


def import_circles() -> list[list[str]]:
    """Sets of modules that all need each other, by imports at the top of modules and inside functions."""
    grimp = pytest.importorskip("grimp", reason="grimp is not installed: pip install 'defectbench[lint]'")
    graph = grimp.build_graph(*PRODUCT, cache_dir=None)
    modules = sorted(graph.modules)
    number = {module: index for index, module in enumerate(modules)}
    pairs = np.array(
        [
            (number[module], number[imported])
            for module in modules
            for imported in graph.find_modules_directly_imported_by(module)
        ]
    ).T  # (2, imports)
    imports = coo_array((np.ones(pairs.shape[1]), pairs), shape=(len(modules), len(modules)))
    _, part = connected_components(imports, connection="strong")
    circles = [[modules[index] for index in np.flatnonzero(part == label)] for label in np.unique(part)]
    return [circle for circle in circles if len(circle) > 1]
