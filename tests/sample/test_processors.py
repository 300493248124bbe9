"""Where numpy takes other instructions, the sample data set is the same to the byte."""

import hashlib
import os
import subprocess
import sys

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from bench.sample import CATEGORIES, SampleSpec, render


def drawn() -> str:
    """sha256 over an image of every kind of defect of every category."""
    found = hashlib.sha256()
    for category, defects in CATEGORIES.items():
        for defect in ("good", *defects):
            item = render(SampleSpec(size=96), category, "test", defect, 1)
            for part in (item.image, item.mask, item.depth):
                found.update(part.tobytes())
    return found.hexdigest()


def optional_instructions() -> list[str]:
    """The sets of instructions that numpy uses on this processor and can do without."""
    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


def test_a_simpler_processor_draws_the_same_bytes() -> None:
    optional = optional_instructions()
    if not optional:
        pytest.skip("numpy uses no optional instructions on this processor")
    simpler = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(optional)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert simpler.stdout.split() == ["0", drawn()]


if __name__ == "__main__":
    print(len(optional_instructions()), drawn())
