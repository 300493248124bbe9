"""Which line of a method's own code an error came from."""

import sys
import traceback
from pathlib import Path

from bench.errors import BenchError


def sentence_of(error: BaseException, code: Path | None) -> str:
    """One sentence for an error: its own if a user can mend it, else type and message, after the line of the
    method's code that raised it or called what raised it: `mine.py:23, in fit: KeyError: 'x'`."""
    if isinstance(error, BenchError):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    line = own_line(error, code) if code else None
    return f"{line}: {text}" if line else text


def own_line(error: BaseException, code: Path) -> str | None:
    """`mine.py:23, in fit`: the last line of the method's own code that the error passed, or None.

    `code` is the file of the method, or the folder of its package.
    """
    lines = [
        (frame.filename, frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno, "<module>"))
    for filename, number, function in reversed(lines):
        path = Path(filename)
        if path == code or code in path.parents:
            line = f"{path.relative_to(code.parent)}:{number}"
            return line if function == "<module>" else f"{line}, in {function}"
    return None


def code_of(module: str) -> Path:
    """The folder of the package that an imported module belongs to, or its file where that is all."""
    package = sys.modules.get(module.partition(".")[0])
    init = getattr(package, "__file__", None)
    if init and Path(init).name == "__init__.py":
        return Path(init).parent
    return Path(str(sys.modules[module].__file__))
