"""Text of names, files and other people's stores, as it may stand on a terminal, in a log or on a page.

A name may hold a sequence that steers a terminal, turns round its line, or is taken for a command by
the service that reads the log of a job.
"""

import re
import unicodedata

_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067]")
"""Control characters but tab and line ends; what embeds and overrides a direction of text."""
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
INSTEAD = "\ufffd"


def plain_line(text: str) -> str:
    """One line without characters that steer a terminal or the direction of text."""
    visible = (
        letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf") or letter.isspace()
    )
    return " ".join("".join(visible).split())


def without_steering(text: str, *, colours: bool = False) -> str:
    """Lines of text with a mark for each character that steers a terminal; `colours` may stay."""
    if text.isprintable():  # most texts
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not colours:
        return _STEERING.sub(INSTEAD, text)
    parts, end = [], 0
    for match in _COLOUR.finditer(text):
        parts += [_STEERING.sub(INSTEAD, text[end : match.start()]), match.group()]
        end = match.end()
    return "".join([*parts, _STEERING.sub(INSTEAD, text[end:])])


def without_commands(text: str, head: str = "") -> str:
    """Lines that no runner of workflows takes for a command: `::error` at their start, `##[error]` anywhere.

    head: what was written of the first line before.
    """
    first, *rest = text.replace("##[", "# #[").split("\n")
    if head.strip() == ":" and first.startswith(":"):
        first = f" {first}"
    elif not head.strip():
        first = _broken(first)
    return "\n".join([first, *map(_broken, rest)])


def _broken(line: str) -> str:
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line
