"""Synthesis-based detectors go on after a kill to the same bytes, in the middle of an epoch too."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.conformance.checks import contents
from bench.methods import Detector, DetectorSplit
from detectors.draem.adapter import Draem
from detectors.glass.adapter import Glass

SHARES = {"normal": 0.4, "pseudo": 0.3, "generated": 0.2, "real": 0.1}
SCORES = {0: 0.3, 1: 0.8, 2: 0.5}
STEPS = {Draem: 6, Glass: 6}


class Killed(Exception):
    pass


@pytest.mark.parametrize("cls", STEPS, ids=lambda cls: cls.name)
@pytest.mark.parametrize("stops", [(1,), (2, 5)], ids=["once", "twice"])
def test_a_killed_fit_goes_on_to_the_same_bytes(
    blobs: DetectorSplit, context, tmp_path: Path, cls: type[Detector], stops: tuple[int, ...]
) -> None:
    split = replace(blobs, shares=SHARES)
    detector = cls.configure("tiny", {"epochs": 3})

    def fit(out: str, scratch: str, stop: int | None = None) -> int:
        said: list[int] = []

        def progress(done: int, total: int, note: str = "") -> None:
            said.append(done)
            if done == stop:
                raise Killed
            assert total == STEPS[cls]

        def validate(model: Path) -> float:
            # The score of an epoch, whether it is reached in one go or not.
            epoch = ((said[-1] if said else begun) + 1) // (STEPS[cls] // 3) - 1
            return SCORES[epoch]

        detector.fit(split, tmp_path / out, context(scratch, progress=progress, validate=validate))
        return said[-1]

    begun = 0
    assert fit("whole", "a") == STEPS[cls]
    for stop in stops:
        with pytest.raises(Killed):
            fit("resumed", "b", stop)
        begun = stop
    fit("resumed", "b")
    whole, resumed = contents(tmp_path / "whole"), contents(tmp_path / "resumed")
    assert [name for name in whole if whole[name] != resumed.get(name)] == []
    assert whole.keys() == resumed.keys()
