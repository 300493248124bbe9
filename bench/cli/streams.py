"""Standard output and error as the commands write to them: any text in any encoding, and nothing that steers.

The signs of a leaderboard have stand-ins where a terminal or a log knows no Unicode. What names and logs hold
reaches a terminal as text, and the log of a workflow not as a command.
"""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from bench.plain_text import INSTEAD, without_commands, without_steering

_STAND_INS = {
    "→": "->", "–": "-", "—": "-", "−": "-", "↑": "^", "↓": "v", "±": "+-", "×": "x", "…": "...", "·": ".",
    "†": "+", "‡": "++", "’": "'", "‘": "'", "“": '"', "”": '"', "≥": ">=", "≤": "<=", "Δ": "d", INSTEAD: "?",
}  # fmt: skip
_ERRORS = "bench-stand-ins"


@contextmanager
def plain_streams() -> Iterator[None]:
    """Standard output and error are plain within."""
    before = sys.stdout, sys.stderr
    codecs.register_error(_ERRORS, _stand_in)
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)
    sys.stdout, sys.stderr = _PlainStream(sys.stdout), _PlainStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def terminal() -> IO[str]:
    """Standard output as it is, for what draws on it and has made its texts plain."""
    return sys.stdout.stream if isinstance(sys.stdout, _PlainStream) else sys.stdout


def silence(number: int) -> None:
    """Let what is still to be written to a closed pipe go nowhere, without a word at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


class _PlainStream:
    """A text stream, and what it lets through."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self._head = ""
        """The line that has been begun, as far as it matters."""

    def write(self, text: str) -> int:
        is_terminal = self.stream.isatty()
        plain = without_steering(text, colours=is_terminal)
        if not is_terminal:
            plain = without_commands(plain, self._head)
            line = plain.rpartition("\n")
            self._head = (line[2] if line[1] else self._head + line[2])[:80]
        self.stream.write(plain)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(letter, "?") for letter in letters), error.end
