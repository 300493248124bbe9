"""Every command and option that a sentence, a help text or a document names is one that `bench` has."""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bench.cli.app import app

ROOT = Path(__file__).parents[2]
PRODUCT = ("bench", "reports", "protocols", "generators", "detectors")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TREE = typer.main.get_command(app)
INTERNAL = {"exec", "ray"}
"""What workers are started with; `bench --help` does not list them."""
_OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z0-9-]*")
_QUOTED = re.compile(r"`((?:defect)?bench [^`]+)`")
_OTHERS = re.compile(r"`(?!bench )[^`]*`")
"""Commands of other programs."""
_PLACEHOLDER = re.compile(r"[A-Z]+|DIR|\.\.\.|<.*>|[{\[(].*")


def options_of(command: Any) -> set[str]:
    names = {"-h", "--help", "--debug"}
    return names.union(*((*option.opts, *option.secondary_opts) for option in command.params))


EVERY_OPTION = set[str]()


def _collect(command: Any) -> None:
    EVERY_OPTION.update(options_of(command))
    for other in getattr(command, "commands", {}).values():
        _collect(other)


_collect(TREE)


def faults(line: str) -> Iterator[str]:
    """What of a command line `bench WORDS` does not exist."""
    try:
        words = shlex.split(line, comments=True)[1:]
    except ValueError:
        words = line.split()[1:]
    words = [word.rstrip(",;:") for word in words]
    command: Any = TREE
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        first, *words = words
        if first in INTERNAL or _PLACEHOLDER.match(first):
            return
        if first not in command.commands:
            yield f"`{line}`: there is no command {first}"
            return
        command = command.commands[first]
        if words[:1] == ["|"]:  # `bench published list | show`
            others = [word for word in words if word not in ("|", *getattr(TREE, "commands", {}))]
            words = [word for word in others if word.startswith("-")]
    known = options_of(command)
    for word in words:
        if word in ("|", "&&", "||", ">", ";"):
            return
        if word.startswith("--") and (name := word.partition("=")[0]) not in known:
            yield f"`{line}`: there is no option {name}"


@functools.cache
def sentences(source: Path) -> list[tuple[int, str]]:
    """The texts of a module, fields of f-strings written as X: docstrings, sentences and help."""
    return list(_sentences(source))


def _sentences(source: Path) -> Iterator[tuple[int, str]]:
    text = source.read_text(encoding="utf-8")
    if "`bench " not in text and "--" not in text:
        return
    tree = ast.parse(text)
    inside = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            text = "".join(part.value if isinstance(part, ast.Constant) else " X " for part in node.values)
            yield node.lineno, text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def modules() -> list[Path]:
    return [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_command_that_the_program_names_exists() -> None:
    commands = [
        (f"{path.relative_to(ROOT)}:{number}", " ".join(line.split()))
        for path in modules()
        for number, text in sentences(path)
        for line in _QUOTED.findall(text)
    ]
    assert len(commands) > 40
    assert [(where, fault) for where, line in commands for fault in faults(line)] == []


def test_every_option_that_a_sentence_names_exists() -> None:
    named = [
        (f"{path.relative_to(ROOT)}:{number}", option)
        for path in modules()
        if path.is_relative_to(ROOT / "bench") or path.is_relative_to(ROOT / "reports")
        for number, text in sentences(path)
        if " " in text
        for option in _OPTION.findall(_OTHERS.sub("", text))
    ]
    assert len(named) > 40
    assert [(where, option) for where, option in named if option not in EVERY_OPTION] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    commands = [line for line in lines if line.startswith(("bench ", "defectbench "))]
    commands += [" ".join(line.split()) for line in _QUOTED.findall(text)]
    assert [fault for line in commands for fault in faults(line)] == []


@pytest.mark.parametrize(
    "line", ["bench ran", "bench data chek", "bench verify --fix", "bench ingest --against DIR"]
)
def test_what_does_not_exist_is_seen(line: str) -> None:
    assert list(faults(line)) != []
