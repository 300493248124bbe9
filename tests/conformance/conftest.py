"""The methods in the folder `plugins`: each is a file as a user would write it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.methods import registry

PLUGINS = Path(__file__).with_name("plugins")


@pytest.fixture
def plugin_class(plugged: Callable) -> Iterator[Callable[[str], type]]:
    """The class of this name, which `plugins/NAME.py` defines."""
    with ExitStack() as plugins:

        def load(name: str) -> type:
            plugins.enter_context(plugged(PLUGINS / f"{name}.py"))
            kind = next(kind for kind in ("generator", "detector") if name in registry.names(kind))
            return registry.load(kind, name)

        yield load


@pytest.fixture
def line_of_the_crash() -> Callable[[str], str]:
    """`NAME.py:23`, the line of a plug-in file that says so."""

    def line(name: str) -> str:
        lines = (PLUGINS / f"{name}.py").read_text().splitlines()
        [number] = [row for row, text in enumerate(lines, 1) if text.endswith("# the line of the crash")]
        return f"{name}.py:{number}"

    return line
