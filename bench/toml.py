"""TOML from outside: what would end the reader itself is refused as any other fault of the file."""

import re
import tomllib
from typing import Any

TOMLDecodeError = tomllib.TOMLDecodeError

_KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG = re.compile(rf"""(?<![\w."'-]){_KEY}(?:[ \t]*\.[ \t]*{_KEY}){{100}}""")


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises TOMLDecodeError, and nothing else."""
    text = text.removeprefix("\ufeff")  # some editors write the mark of byte order first
    if _LONG.search(text):  # tomllib keeps every beginning of a dotted key: 100 kB of it take 10 GB
        raise TOMLDecodeError("a key of more than 100 parts")
    try:
        return tomllib.loads(text)
    except TOMLDecodeError:
        raise
    except RecursionError:
        raise TOMLDecodeError("it is nested too deeply") from None
    except ValueError:  # of Python: a whole number of more than 4,300 digits, the 30th of February
        raise TOMLDecodeError("a number or a date that is out of range") from None
