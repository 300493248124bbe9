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


@pytest.mark.parametrize("command", [PLAN, ("data", "check")])
def test_warnings_of_one_kind_are_one_line_per_folder_and_each_with_all(
    bench: Callable, data: Path, command: tuple[str, ...]
) -> None:
    masks = sorted((data / "weave" / "ground_truth" / "cut").glob("*.png"))[:3]
    soften(masks)
    where = (data,) if command[0] == "data" else ("--data", data)

    def warnings(*options: str) -> list[str]:
        outcome = bench(*command, *where, *options)
        assert outcome.code == 0
        return [line for line in outcome.out.splitlines() if line.startswith("warning: weave/")]

    (line,) = warnings()
    assert "weave/ground_truth/cut/: 3 times a mask with values between 0 and 255" in line
    assert all(mask.name in line for mask in masks[:2])
    assert len(warnings("--all")) == 3


def test_a_sound_data_set_gives_no_warning(bench: Callable, data: Path) -> None:
    assert "warning" not in bench(*PLAN, "--data", data).out
