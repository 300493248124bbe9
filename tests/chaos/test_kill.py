"""SIGKILL at random moments: the same command, again and again, ends with the records of a quiet run."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.verify import verify_command
from bench.collect import records
from bench.planning.plan import load_plan
from bench.records import PROVENANCE, Record
from bench.sample import SampleSpec, write
from bench.store import open_store

MANY = 20
MARK = "DEFECTBENCH_TEST_STORE"
"""Variable in the environment of the processes of one test."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = SampleSpec(size=64, train=6, test_good=2, per_defect=4, categories=("washer",))
    return write(spec, tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[list[Record], float]:
    """The records of a run that nobody kills, and how long it took."""
    store = tmp_path_factory.mktemp("quiet") / "store"
    begun = time.monotonic()
    run = begin(store, data)
    told, _ = run.communicate()
    assert run.returncode == 0, told
    return results(store), time.monotonic() - begun


def begin(store: Path, data: Path) -> "subprocess.Popen[str]":
    """The run, as leader of a session and process group of its own."""
    command = [
        *(sys.executable, "-m", "bench", "run", "--protocol", "mvtec_supervised", "--scale", "smoke"),
        *("--data", str(data), "--store", str(store), "--categories", "washer"),
        *("--generators", "crop_paste", "--detectors", "unet", "--workers", "2"),
    ]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def results(store: Path) -> list[Record]:
    """All records but what a run costs, without what tells one run from another."""
    (plan_file,) = (store / "runs").glob("*.plan")
    plan = load_plan(plan_file)
    found = [record for record in records(plan, open_store(store)) if record.level != "cost"]
    return [replace(record, **dict.fromkeys(PROVENANCE)) for record in found]


def workers(store: Path) -> list[int]:
    """Processes of `bench exec`, and forks of it, that write into this store or wait for its jobs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            ours = f"{MARK}={store}".encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours and b"exec" in command:
            found.append(int(process.name))
    return found


def wait_until_gone(store: Path) -> None:
    """Return when the last worker of the killed run is gone; a worker that stays fails the test."""
    waiting = threading.Event()
    until = time.monotonic() + 30
    while left := workers(store):
        assert time.monotonic() < until, f"bench exec still runs: {left}"
        waiting.wait(0.02)


@pytest.mark.parametrize("kills", [4, pytest.param(MANY, marks=pytest.mark.full)])
def test_killed_runs_end_with_the_records_of_an_undisturbed_one(
    kills: int,
    tmp_path: Path,
    data: Path,
    undisturbed: tuple[list[Record], float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected, seconds = undisturbed
    store = tmp_path / "store"
    monkeypatch.setenv(MARK, str(store))
    rng = random.Random(kills)
    killed = 0
    while True:
        run = begin(store, data)
        if killed < kills:
            try:
                run.wait(rng.uniform(0.1, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                kill(run, whole_group=rng.random() < 0.5)
                killed += 1
                run.communicate()
                wait_until_gone(store)
                continue
        told, _ = run.communicate()
        assert run.returncode == 0, told
        if killed == kills:
            break
        lose_some_work(store, rng)
    assert results(store) == expected
    assert verify_command(store, recompute=True, remove=False) == 0, capsys.readouterr().out
    assert workers(store) == []
    assert left_over(store) == []


def kill(run: "subprocess.Popen[str]", *, whole_group: bool) -> None:
    if whole_group:
        os.killpg(run.pid, signal.SIGKILL)
    else:
        run.kill()


def lose_some_work(store: Path, rng: random.Random) -> None:
    """A run ended before it could be killed often enough: take some tasks away, and the goals with them."""
    held = open_store(store)
    keys = list(held.keys())
    for key in rng.sample(keys, len(keys) // 2):
        held.remove(key)
    for key in keys:
        if held.done(key) and held.definition(key)["stage"].startswith("score."):
            held.remove(key)


def left_over(store: Path) -> Sequence[Path]:
    """What only running tasks may have."""
    folders = ("tmp", "scratch", "failures", "leases")
    return [path for name in folders for path in (store / name).iterdir() if path.name != ".lock"]
