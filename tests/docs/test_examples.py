"""The examples of the how-to pages do what the pages say."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.metrics import UndefinedMetricError
from bench.planning.protocol_file import load_protocol
from bench.published import load_paper

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (PAGES / page).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def coverage() -> Any:
    (source,) = blocks("metric.md", "python")
    module: dict[str, Any] = {}
    exec(source, module)
    return module["coverage"]


def test_the_example_of_a_metric_is_one_where_sets_agree_and_nought_where_they_lie_apart(
    coverage: Any,
) -> None:
    real = np.random.default_rng(0).normal(size=(40, 3))
    assert coverage(real, real) == 1.0
    assert coverage(real + 100, real) == 0.0


def test_the_example_of_a_metric_is_the_formula(coverage: Any) -> None:
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(12, 2)), rng.normal(size=(9, 2)) + 2
    reached = 0
    for image in real:
        radius = sorted(float(np.linalg.norm(image - other)) for other in real)[5]
        reached += min(float(np.linalg.norm(image - other)) for other in generated) <= radius
    assert 0 < coverage(generated, real) == reached / 12 < 1


def test_the_example_of_a_metric_names_why_it_is_undefined(coverage: Any) -> None:
    with pytest.raises(UndefinedMetricError, match="more than 5 real images, there are 4"):
        coverage(np.zeros((9, 2)), np.zeros((4, 2)))


def test_the_example_of_a_paper_can_be_read(tmp_path: Path) -> None:
    (table,) = [block for block in blocks("paper.md", "") if block.startswith("paper,")]
    (facts,) = blocks("paper.md", "toml")
    (tmp_path / "mypaper.csv").write_text(table)
    (tmp_path / "mypaper.toml").write_text(facts)
    paper = load_paper(tmp_path / "mypaper.toml")
    assert [value.text for value in paper.values] == ["69.2", "54.1"]
    assert paper.values[0].caveats == ("one made-up value in each category",)


def test_the_examples_of_a_protocol_can_be_read(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("protocol.md", "toml")):
        (tmp_path / f"{number}.toml").write_text(text)
    changed, new = (load_protocol(str(tmp_path / f"{number}.toml")) for number in (0, 1))
    assert changed.mixes["generated+real"].shares == {"normal": 0.5, "generated": 0.25, "real": 0.25}
    assert changed.rows == load_protocol("mvtec_supervised").rows
    assert (new.rows.alone, new.rows.generated) == (("real",), ("generated",))
    assert new.scale("smoke").resolution == load_protocol("mvtec_supervised").scale("smoke").resolution
