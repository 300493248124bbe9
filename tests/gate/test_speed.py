"""Speed: ratios to a peer in the same run, whatever the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.gate import Outputs, gate_command
from bench.errors import BenchError
from bench.gate.baseline import Baseline
from bench.gate.speed import RATIO, judge_speed, ratios
from bench.gate.update import updated

BENCHMARKS = f"""
import time

def test_with_a_peer(benchmark):
    benchmark.pedantic(lambda: sum(range(1000)), rounds=2)
    benchmark.extra_info["{RATIO}"] = FACTOR

def test_without_a_peer(benchmark):
    benchmark.pedantic(lambda: None, rounds=2)
"""


def of(*history: float) -> Baseline:
    baseline = None
    for ratio in history:
        baseline = updated(baseline, None, {"test_kid": ratio}, reason="timed", date="2026-11-22")
    assert baseline is not None
    return baseline


@pytest.mark.parametrize(
    ("ratio", "status"), [(10.0, "within"), (7.0, "within"), (6.0, "loss"), (14.0, "within"), (16.0, "gain")]
)
def test_a_ratio_may_move_by_the_slowdown_of_the_policy(ratio, status) -> None:
    (verdict,) = judge_speed(of(10.0), {"test_kid": ratio})
    assert verdict.status == status


def test_one_odd_timing_does_not_move_the_usual_ratio() -> None:
    (verdict,) = judge_speed(of(10.0, 11.0, 40.0), {"test_kid": 10.0})
    assert verdict.status == "within" and verdict.before == (11.0,)


def test_a_benchmark_that_was_not_run_cannot_be_told() -> None:
    (verdict, new) = judge_speed(of(10.0), {"test_new": 3.0})
    assert (verdict.status, new.status) == ("missing", "new")


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "[]", "{}", '{"benchmarks": []}', '{"benchmarks": [{"fullname": "a"}]}']
)
def test_what_is_no_result_of_pytest_benchmark_is_refused(text) -> None:
    with pytest.raises(BenchError, match=r"times\.json"):
        ratios(text, "times.json")


def test_results_of_pytest_benchmark_are_gated_without_a_store(tmp_path: Path, capsys) -> None:
    def timed(factor: float) -> Path:
        tests, out = tmp_path / "test_speed_of_it.py", tmp_path / "times.json"
        tests.write_text(BENCHMARKS.replace("FACTOR", str(factor)))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--benchmark-json={out}"]
        # a worker of xdist times nothing, and a child of one would take itself for one
        alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
        ended = subprocess.run(
            [*command, str(tests)], cwd=tmp_path, env=alone, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stdout
        return out

    def gate(speed: Path, **more) -> int:
        told = {"update": False, "reason": "", "outputs": Outputs(), **more}
        return gate_command(tmp_path / "b.toml", tmp_path / "no store", speed=speed, **told)

    assert gate(timed(20.0), update=True, reason="timed") == 0
    assert gate(timed(18.0)) == 0
    capsys.readouterr()
    assert gate(timed(5.0)) == 1
    told = capsys.readouterr().out
    assert "test_speed_of_it.py::test_with_a_peer" in told and "5 times faster than the peer" in told
    names = [each["name"] for each in json.loads((tmp_path / "times.json").read_text())["benchmarks"]]
    assert "test_without_a_peer" in names and "test_without_a_peer" not in told
