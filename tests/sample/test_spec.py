"""What a sample spec allows, and which items it names."""

import subprocess
import sys
from collections import Counter

import pytest

from bench.sample import CATEGORIES, SampleSpec, items


def test_every_category_has_at_least_three_defect_types() -> None:
    assert len(CATEGORIES) >= 4
    assert all(len(set(types)) >= 3 for types in CATEGORIES.values())


def test_counts_are_those_of_the_spec() -> None:
    spec = SampleSpec(train=5, test_good=3, per_defect=2, categories=("chip",))
    counts = Counter((item.split, item.defect) for item in items(spec))
    defects = {("test", defect): 2 for defect in CATEGORIES["chip"]}
    assert counts == {("train", "good"): 5, ("test", "good"): 3, **defects}


def test_only_the_depth_layout_has_a_validation_part() -> None:
    flat = SampleSpec(validation=4, categories=("chip",))
    deep = SampleSpec(validation=4, categories=("chip",), layout="mvtec3d")
    assert not [item for item in items(flat) if item.split == "validation"]
    assert len([item for item in items(deep) if item.split == "validation"]) == 4


def test_categories_may_be_given_as_a_list() -> None:
    assert SampleSpec(categories=["chip"]) == SampleSpec(categories=("chip",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", 16, "32 to 2048"),
        ("size", 4096, "32 to 2048"),
        ("train", -1, "train is -1"),
        ("per_defect", 1.5, "per_defect is 1.5"),
        ("seed", True, "seed is True"),
        ("categories", (), "no category"),
        ("categories", ("wood",), "no category 'wood'; choose from chip"),
        ("categories", ("chip", "chip"), "twice"),
        ("layout", "visa", "mvtec, mvtec3d"),
    ],
)
def test_a_spec_that_cannot_be_rendered_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampleSpec(**{field: value})  # type: ignore[arg-type]


def test_naming_the_categories_loads_no_renderer() -> None:
    code = "import sys, bench.sample; sys.exit('scipy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
