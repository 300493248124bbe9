"""Where papers and repositories disagree: one numbered entry per disagreement, D1 to D35.

The entries are in disagreements.toml. Caveats, notes and records cite them by number; pages link a number to
its entry, `bench published disagreements` prints them, and docs/explanation/disagreements.md is made by

    python -m bench.published.disagreements docs/explanation/disagreements.md
"""

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bench.toml import parse_toml

_TABLE = Path(__file__).with_suffix(".toml")
_CITATION = re.compile(r"\bD([1-9][0-9]?)\b")
_INTRODUCTION = """\
# Disagreements

The published protocol of this field is not one protocol. Each entry names one point on which repositories and
papers disagree, with each other or with their own text, and the option here that covers it. Records, caveats
and pages cite an entry by its number. Repositories are named as on GitHub, and were read in November 2026.

This file is made from `bench/published/disagreements.toml`; `bench published disagreements` prints the same.
"""


class Disagreement(BaseModel):
    """One point on which sources disagree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    title: str = Field(min_length=1)
    text: str = Field(min_length=1)
    """Who does what, in plain sentences."""
    sources: tuple[str, ...] = Field(min_length=1)
    """Repositories and papers, by name."""
    ours: str = Field(min_length=1)
    """The option or dialect of this project that covers it, in Markdown."""

    @property
    def name(self) -> str:
        """ "D31", as texts cite it."""
        return f"D{self.number}"

    @property
    def anchor(self) -> str:
        """ "d31", in pages and in the document."""
        return self.name.lower()


@functools.cache
def disagreements() -> dict[str, Disagreement]:
    """Every entry by its name, in order of number."""
    rows = parse_toml(_TABLE.read_text(encoding="utf-8"))["disagreements"]
    entries = sorted((Disagreement(**row) for row in rows), key=lambda entry: entry.number)
    return {entry.name: entry for entry in entries}


def cited(*texts: str) -> tuple[Disagreement, ...]:
    """The entries that texts cite by number, each once, in order of number."""
    names = {match.group() for text in texts for match in _CITATION.finditer(text)}
    return tuple(entry for name, entry in disagreements().items() if name in names)


def with_citations(text: str, write: Callable[[Disagreement], str]) -> str:
    """The text with each citation of an entry replaced by what `write` makes of the entry."""
    entries = disagreements()
    return _CITATION.sub(lambda match: write(entries[name]) if (name := match[0]) in entries else name, text)


def footnotes(*texts: str) -> list[str]:
    """One line for each entry that texts cite, for output that has no links: "D31: The groups of ..."."""
    return [f"{entry.name}: {entry.title}" for entry in cited(*texts)]


def markdown() -> str:
    """The text of docs/explanation/disagreements.md."""
    return "\n".join([_INTRODUCTION, *map(_section, disagreements().values())])


def _section(entry: Disagreement) -> str:
    text = with_citations(entry.text, lambda other: f"[{other.name}](#{other.anchor})")
    return (
        f'<a id="{entry.anchor}"></a>\n\n## {entry.name}: {entry.title}\n\n{text}\n\n'
        f"- **Sources:** {'; '.join(entry.sources)}\n- **Here:** {entry.ours}\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
