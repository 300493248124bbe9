"""A plug-in of one file that trains by the loop of the interface has what built-in methods have."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from bench.conformance.checks import contents
from bench.conformance.detector import DetectorTrial, run_checks
from bench.methods import Detector, registry
from bench.methods.training import CHECKPOINT_SECONDS, OutOfTime, TrainingFailed

PLUGIN = Path(__file__).with_name("plugins") / "two_convolutions.py"


@pytest.fixture
def plugin(plugged) -> Iterator[type[Detector]]:
    with plugged(PLUGIN):
        yield registry.load("detector", "two_convolutions")


def killed_at_step_4(done: int, total: int, note: str = "") -> None:
    if done == 4:
        os.kill(os.getpid(), signal.SIGKILL)


def test_it_conforms(plugin, tmp_path: Path) -> None:
    results = run_checks(DetectorTrial(plugin, tmp_path))
    assert [result for result in results if result.status != "ok" or result.note] == []


def test_a_fit_whose_process_was_killed_goes_on_to_the_same_bytes(
    plugin, blobs, context, tmp_path: Path, monkeypatch
) -> None:
    detector = plugin.configure("tiny")
    detector.fit(blobs, tmp_path / "whole", context("whole"))
    process = os.fork()
    if not process:
        minutes = count(step=2 * CHECKPOINT_SECONDS)
        monkeypatch.setattr(time, "monotonic", lambda: next(minutes))
        try:
            detector.fit(blobs, tmp_path / "first", context("cut", progress=killed_at_step_4))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    steps: list[int] = []
    again = context("cut", progress=lambda done, total, note="": steps.append(done))
    detector.fit(blobs, tmp_path / "second", again)
    assert steps == [4, 5, 6]
    assert contents(tmp_path / "second") == contents(tmp_path / "whole")


def test_it_stops_at_the_deadline_and_at_a_loss_that_is_no_number(plugin, blobs, context, tmp_path) -> None:
    with pytest.raises(OutOfTime, match="'two_convolutions' reached its deadline at step 1 of 6; run"):
        plugin.configure("tiny").fit(blobs, tmp_path, context(deadline=0.0))
    detector = plugin.configure("tiny", {"learning_rate": 1e30})
    with pytest.raises(TrainingFailed, match=r"the loss of 'two_convolutions' is (nan|inf) at step \d of 6"):
        detector.fit(blobs, tmp_path, context("other"))
