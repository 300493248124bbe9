"""Count names that say nothing: `python tests/style/vague_names.py` lists every one with its file and line.

A variable, parameter or attribute is named by what it is (report, prediction), never by a participle, an
adverb or a determiner. Exit status 1 where a folder has more such names than its ceiling.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
VAGUE = set(
    """told said held found made kept seen given asked laid apart own place here there every each known wanted
    named left taken drawn shown""".split()  # noqa: SIM905 - reads as a list of words
)
CEILINGS = {
    "bench": 2,  # the left and the right image of a pair
    "detectors": 1,  # a parameter of a method, part of its keys
    "docs": 0,
    "generators": 0,
    "protocols": 0,
    "reports": 0,
    "tests": 492,
}
"""The most vague names that a folder may have. A ceiling only falls, and a folder not listed here has 0."""


def vague_names(folder: Path) -> Iterator[tuple[Path, int, str]]:
    """File, line and name of every vague name that the Python files under `folder` bind."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    pass
                case ast.arg(arg=name):
                    pass
                case _:
                    continue
            if name in VAGUE:
                yield path.relative_to(ROOT), node.lineno, name


def report(folder: str) -> tuple[int, str]:
    """The number of vague names in a top-level folder, and one line per name."""
    rows = sorted(vague_names(ROOT / folder))
    return len(rows), "\n".join(f"{path}:{line}: {name}" for path, line, name in rows)


if __name__ == "__main__":
    reports = {folder: report(folder) for folder in sys.argv[1:] or CEILINGS}
    print(*(lines for _, lines in reports.values() if lines), sep="\n")
    for folder, (count, _) in reports.items():
        print(f"{folder}: {count} vague names, ceiling {CEILINGS.get(folder, 0)}")
    sys.exit(any(count > CEILINGS.get(folder, 0) for folder, (count, _) in reports.items()))
