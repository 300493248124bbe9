"""Small papers, written to a folder, and the papers that the project ships."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.published import Paper, load_paper, papers

HEAD = "paper,table,dataset,category,generator,detector,level,metric,value,note"
FACTS = """
paper = "small"
short = "Small"
title = "A small paper"
{more}
[tables]
{tables}
[[facts]]
protocols = ["p"]
digits = {digits}
quoted = false
split = "first-third@1"
shots = "third"
resolution = 256
modality = "rgb"
generated_per_type = 1000
mix = "generated"
scope = "category"
selection = "last"
dialect = "default"
features = "none"
weights_sha256 = ""
reference = "test"
unit = "percent"
{rules}
"""


@pytest.fixture
def write_paper(tmp_path: Path) -> Callable[..., Path]:
    """Write a paper of lines "table,dataset,category,generator,detector,level,metric,value,note"."""

    def write(
        lines: Sequence[str], rules: str = "", digits: int = 1, more: str = "", name: str = "small"
    ) -> Path:
        tables = sorted({line.split(",")[0] for line in lines})
        titled = "\n".join(f'{table} = {{ title = "Table {table}" }}' for table in tables)
        text = FACTS.format(tables=titled, rules=rules, digits=digits, more=more)
        path = tmp_path / f"{name}.toml"
        path.write_text(text.replace('"small"', f'"{name}"'), encoding="utf-8")
        rows = [HEAD, *(f"{name},{line}" for line in lines)]
        path.with_suffix(".csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def small(write_paper: Callable[..., Path]) -> Callable[..., Paper]:
    """A small paper, read back."""
    return lambda *args, **options: load_paper(write_paper(*args, **options))


@pytest.fixture(scope="session")
def shelf() -> tuple[Paper, ...]:
    """Every paper that is installed."""
    return papers()


@pytest.fixture(scope="session")
def two_papers(shelf: tuple[Paper, ...]) -> tuple[Paper, ...]:
    """AnomalyHybrid and SeaS, whose tables and contradictions are counted exactly."""
    return tuple(paper for paper in shelf if paper.name in ("anomalyhybrid", "seas"))
