"""Errors that a user can mend: one sentence that names the thing, the place and the mend."""

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """Bad input. Printed as one sentence, exit code 2, no traceback without --debug."""


def did_you_mean(kind: str, name: str, candidates: Iterable[str], of: str = "") -> str:
    """The sentence for an unknown name: what is unknown, the nearest known name, or all of them."""
    names = sorted(candidates)
    where = f" of '{of}'" if of else ""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {kind} '{name}'{where}; {hint}"
