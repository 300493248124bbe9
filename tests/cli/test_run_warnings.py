"""What a run only warns of: told before work starts, many of a kind in one sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PLAN = ("run", "--protocol", "mvtec_supervised", "--scale", "smoke", "--dry-run")


def soften(masks: list[Path]) -> None:
    """Give masks a grey edge, as a drawing program with a soft brush leaves it."""
    for path in masks:
        values = np.array(Image.open(path))
        values[0, 0] = 40
        Image.fromarray(values).save(path)


@pytest.mark.parametrize(("count", "lines"), [(3, 3), (9, 1)])
def test_many_warnings_of_a_kind_are_one_sentence(
    bench: Callable, data: Path, count: int, lines: int
) -> None:
    soften(sorted((data / "weave" / "ground_truth").glob("*/*.png"))[:count])
    said = bench(*PLAN, "--data", data)
    told = [line for line in said.out.splitlines() if line.startswith("warning: ")]
    assert said.code == 0
    assert len(told) == lines
    assert "values between 0 and 255" in told[0]
    assert (f"{count} times" in told[0]) == (lines == 1)


def test_a_sound_data_set_gives_no_warning(bench: Callable, data: Path) -> None:
    assert "warning" not in bench(*PLAN, "--data", data).out
