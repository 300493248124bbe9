"""Tasks that are killed for want of memory, hang, lose their GPU, or leave processes behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.store import open_store
from bench.tasks import Task

Fit = Callable[..., Task]
Drive = Callable[..., Any]


class Hurt:
    """One run of tasks that are hurt in every way, and the same once more."""

    def __init__(self, at: Path, fit: Fit, drive: Drive) -> None:
        self.at = at
        self.store = open_store(at / "store", create=True)
        ways = ("die-once", "die", "lose-the-gpu-once", "run-out-of-gpu-memory", "leave-processes")
        self.tasks = {does: fit(does, at=at) for does in ways}
        self.others = [fit("write", at=at, seed=seed) for seed in range(4)]
        self.outcome, self.view = drive(self.store, [*self.tasks.values(), *self.others])
        self.lines = (at / "log").read_text().splitlines()
        self.begun = [task.params["params"]["does"] for task in self.view.begun]
        self.failures = {does: self.store.failure(task.key) for does, task in self.tasks.items()}


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory, fit: Fit, drive: Drive) -> Hurt:
    return Hurt(tmp_path_factory.mktemp("hurt"), fit, drive)


def test_a_task_that_was_killed_for_want_of_memory_is_begun_again_alone(hurt: Hurt) -> None:
    again = hurt.tasks["die-once"]
    assert hurt.store.done(again.key)
    assert hurt.begun.count("die-once") == 2
    killed = f"{again.title}: its process was killed"
    sentences = [sentence for sentence in hurt.view.sentences if sentence.startswith(killed)]
    assert len(sentences) == 2  # the other is killed again
    for sentence in sentences:
        assert "by SIGKILL, most likely for want of memory (it had 0." in sentence
        assert "GB); it is begun again when nothing else runs, as before: its method knows no way" in sentence
    second = hurt.lines.index([line for line in hurt.lines if line.startswith("begin die-once")][1])
    assert hurt.lines[second + 1].startswith("end die-once")
    assert sum(line.startswith("end write") for line in hurt.lines[:second]) == 4


def test_a_task_that_wants_too_much_memory_alone_fails_with_the_reason(hurt: Hurt) -> None:
    task = hurt.tasks["die"]
    assert hurt.begun.count("die") == 2
    reason = hurt.outcome.failed[task.key]
    assert reason.startswith("its process was killed by SIGKILL, most likely for want of memory (it had 0.")
    assert reason.endswith("GB); it was killed again when it ran alone")
    assert hurt.failures["die"]["error"] == hurt.outcome.failed[task.key]


def test_what_fails_costs_the_others_nothing(hurt: Hurt) -> None:
    assert all(hurt.store.done(task.key) for task in hurt.others)
    assert len(hurt.outcome.failed) == 4 and hurt.outcome.ran == 9


def test_a_gpu_that_is_lost_is_told_as_that_and_the_same_command_goes_on(hurt: Hurt, drive: Drive) -> None:
    lost = hurt.tasks["lose-the-gpu-once"]
    assert hurt.outcome.failed[lost.key] == (
        "the GPU failed (CUDA error: unspecified launch failure); see nvidia-smi, "
        "then run the same command again"
    )
    assert "asynchronously" in hurt.failures["lose-the-gpu-once"]["log"]
    outcome, view = drive(hurt.store, [lost, *hurt.others])
    assert (outcome.failed, [task.key for task in view.begun]) == ({}, [lost.key])
    assert hurt.store.done(lost.key)


def test_a_task_that_wants_too_much_gpu_memory_says_so(hurt: Hurt) -> None:
    task = hurt.tasks["run-out-of-gpu-memory"]
    assert hurt.outcome.failed[task.key] == (
        "it found no more memory (CUDA out of memory. Tried to allocate 20.00 GiB.); "
        "it found none again when it ran alone"
    )
    assert hurt.failures["run-out-of-gpu-memory"]["error"] == hurt.outcome.failed[task.key]
    assert hurt.begun.count("run-out-of-gpu-memory") == 2


def test_what_a_task_leaves_behind_is_ended_with_it(hurt: Hurt) -> None:
    assert hurt.outcome.failed[hurt.tasks["leave-processes"].key] == "its process ended with status 9"
    wait_until_none(hurt.at)


def test_a_hanging_task_is_stopped_at_its_limit_with_all_that_it_started(
    tmp_path: Path, fit: Fit, drive: Drive
) -> None:
    hanging = fit("hang-with-processes", at=tmp_path)
    outcome, _ = drive(open_store(tmp_path / "store", create=True), [hanging], time_limit=1.0)
    assert outcome.failed == {hanging.key: "it was stopped at its time limit of 1 s"}
    assert list(tmp_path.glob("forked-*"))
    wait_until_none(tmp_path)


@pytest.mark.parametrize(
    ("victim", "number"),
    [
        ("driver", signal.SIGKILL),
        pytest.param("driver", signal.SIGTERM, marks=pytest.mark.full),
        ("worker", signal.SIGKILL),
        pytest.param("worker", signal.SIGTERM, marks=pytest.mark.full),
    ],
)
def test_who_kills_driver_or_worker_ends_all_that_a_task_started(
    victim: str, number: signal.Signals, acts: Path, fit: Fit, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "store", create=True)
    script = f"""
from pathlib import Path
from bench.methods import registry
from bench.cli.progress import PlainView
from bench.runner.driver import Driver, RunSettings
from bench.runner.local import LocalExecutor
from bench.store import open_store
from bench.tasks import Task
registry.load_plugins([{str(acts)!r}])
params = {dict(fit("hang-with-processes", at=tmp_path).params)!r}
task = Task("generator.fit", 1, params, (), registry.adapter_id("generator", "acts"))
settings = RunSettings("run", "env", "", plugins=({str(acts)!r},))
Driver(open_store(Path({str(store.root)!r})), LocalExecutor(1), settings, PlainView()).run([task], {{}})
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL) as driver:
        until(lambda: len(waiting(tmp_path)) == 2)
        (task,) = (int(path.name.partition("-")[2]) for path in tmp_path.glob("begun-*"))
        worker = int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(driver.pid if victim == "driver" else worker, number)
        if victim == "driver" and number == signal.SIGTERM:  # the first signal lets what runs end
            os.kill(driver.pid, signal.SIGINT)
        if victim == "worker":  # its task is begun again by another worker
            until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
            driver.kill()
    wait_until_none(tmp_path)


def waiting(folder: Path) -> list[int]:
    """Processes that a task started, which name this folder."""
    numbers = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words and b"import time; time.sleep(600)" in words:
            numbers.append(int(process.name))
    return numbers


def wait_until_none(folder: Path) -> None:
    forked = [path.name.partition("-")[2] for path in folder.glob("forked-*")]
    until(lambda: not waiting(folder) and not any(map(alive, forked)))


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], bool]) -> None:
    ticking, end = threading.Event(), time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        ticking.wait(0.02)
