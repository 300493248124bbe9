"""The generator that the README shows is a generator."""

import re
from pathlib import Path

from bench import registry
from bench.conformance.generator import Trial, run_checks

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_the_readme_conforms(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "spots.py").write_text(code)
    registry.load_plugins([str(tmp_path / "spots.py")])
    trial = Trial(registry.load("generator", "spots"), tmp_path)
    failed = [result for result in run_checks(trial) if result.status != "ok"]
    assert failed == []


def test_the_readme_has_at_most_120_lines() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120
