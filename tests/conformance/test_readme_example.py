"""The generator that the documentation shows is a generator."""

import re
from pathlib import Path

import pytest

from bench.cli.check import check_command

ROOT = Path(__file__).parents[2]


def test_the_example_of_the_documentation_conforms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "how-to" / "method.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = [block for block in blocks if "class Spots(Generator)" in block]
    (tmp_path / "spots.py").write_text(code)
    assert check_command("generator", "spots", [tmp_path / "spots.py"], None) == 0
    assert "spots conforms" in capsys.readouterr().out


def test_the_readme_has_at_most_120_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
