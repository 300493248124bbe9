"""Tasks that are killed for want of memory, hang, lose their GPU, or leave processes behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.methods import registry
from bench.runner.driver import Driver, Outcome, RunSettings
from bench.runner.local import LocalExecutor
from bench.store import Store, open_store
from bench.tasks import Task

PLUGIN = '''
import os, signal, subprocess, sys, time
from pathlib import Path
from bench.methods import Generator, Params

class HurtParams(Params):
    does: str = "write"
    at: str = ""

class Hurt(Generator):
    """Does in `fit` what its parameter says."""
    name, version, scope = "hurt", 1, "category"
    needs, yields = frozenset(), frozenset({"anomaly", "mask"})
    Params, presets = HurtParams, {"tiny": {}}

    def fit(self, data, out, ctx):
        does, at = self.params.does, Path(self.params.at)
        (out / "half").write_text("half a model")
        (at / f"begun-{os.getpid()}").touch()
        with (at / "log").open("a") as log:
            log.write(f"begin {does} {time.monotonic_ns()}\\n")
        if does == "want-memory-once" and not (ctx.scratch / "again").exists():
            (ctx.scratch / "again").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if does == "want-memory":
            os.kill(os.getpid(), signal.SIGKILL)
        if does == "lose-the-gpu" and not (ctx.scratch / "again").exists():
            (ctx.scratch / "again").touch()
            raise RuntimeError("CUDA error: unspecified launch failure\\nCUDA kernel errors might be "
                               "asynchronously reported at some other API call.")
        if does == "run-out-of-gpu-memory":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        if does in ("hang", "leave"):
            wait = [sys.executable, "-c", "import time; time.sleep(600)", str(at)]
            subprocess.Popen(wait)
            subprocess.Popen(wait, start_new_session=True)
            if os.fork() == 0:
                (at / f"forked-{os.getpid()}").touch()
                time.sleep(600)
        if does == "hang":
            signal.pause()
        if does == "leave":
            os._exit(9)
        time.sleep(0.2)
        with (at / "log").open("a") as log:
            log.write(f"end {does} {time.monotonic_ns()}\\n")

    def sample(self, model, data, request, ctx):
        yield from ()
'''


class View:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[str] = []

    def begin(self, todo: int, done: int) -> None: ...
    def progress(self, task: Task, event: Any) -> None: ...
    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None: ...
    def close(self) -> None: ...

    def started(self, task: Task) -> None:
        self.begun.append(task.params["params"]["does"])

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("plugin") / "hurt.py"
    path.write_text(PLUGIN)
    registry.load_plugins([str(path)])
    yield path
    registry._PLUGINS["generator"].pop("hurt", None)


def fit(does: str, at: Path, seed: int = 0) -> Task:
    params = {"params": {"does": does, "at": str(at)}, "category": "", "defect": "", "resolution": 16}
    return Task("generator.fit", 1, params, (), registry.adapter_id("generator", "hurt"), seed)


def drive(store: Store, plugin: Path, *goals: Task, **settings: Any) -> tuple[Outcome, View]:
    view = View()
    told = RunSettings("run", "env", "", plugins=(str(plugin),), **settings)
    return Driver(store, LocalExecutor(2), told, view).run(goals, {"plan": "none"}), view


class Hurt:
    """One run of tasks that are hurt in every way, and the same once more."""

    def __init__(self, at: Path, plugin: Path) -> None:
        self.at, self.plugin = at, plugin
        self.store = open_store(at / "store", create=True)
        ways = ("want-memory-once", "want-memory", "lose-the-gpu", "run-out-of-gpu-memory", "leave")
        self.tasks = {does: fit(does, at) for does in ways}
        self.others = [fit("write", at, seed) for seed in range(4)]
        self.outcome, self.view = drive(self.store, plugin, *self.tasks.values(), *self.others)
        self.lines = (at / "log").read_text().splitlines()
        self.failures = {does: self.store.failure(task.key) for does, task in self.tasks.items()}


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory, plugin: Path) -> Hurt:
    return Hurt(tmp_path_factory.mktemp("hurt"), plugin)


def test_a_task_that_was_killed_for_want_of_memory_is_begun_again_alone(hurt: Hurt) -> None:
    again = hurt.tasks["want-memory-once"]
    assert hurt.store.done(again.key)
    assert hurt.view.begun.count("want-memory-once") == 2
    told = [said for said in hurt.view.said if said.startswith(f"{again.title}: its process was killed")]
    assert len(told) == 2  # the other is killed again
    for said in told:
        assert "by SIGKILL, most likely for want of memory (it had 0." in said
        assert "GB); it is begun again when nothing else runs, as before: its method knows no way" in said
    second = hurt.lines.index([line for line in hurt.lines if line.startswith("begin want-memory-once")][1])
    assert hurt.lines[second + 1].startswith("end want-memory-once")
    assert sum(line.startswith("end write") for line in hurt.lines[:second]) == 4


def test_a_task_that_wants_too_much_memory_alone_fails_with_the_reason(hurt: Hurt) -> None:
    task = hurt.tasks["want-memory"]
    assert hurt.view.begun.count("want-memory") == 2
    told = hurt.outcome.failed[task.key]
    assert told.startswith("its process was killed by SIGKILL, most likely for want of memory (it had 0.")
    assert told.endswith("GB); it was killed again when it ran alone")
    assert hurt.failures["want-memory"]["error"] == hurt.outcome.failed[task.key]


def test_what_fails_costs_the_others_nothing(hurt: Hurt) -> None:
    assert all(hurt.store.done(task.key) for task in hurt.others)
    assert len(hurt.outcome.failed) == 4 and hurt.outcome.ran == 9


def test_a_gpu_that_is_lost_is_told_as_that_and_the_same_command_goes_on(hurt: Hurt) -> None:
    lost = hurt.tasks["lose-the-gpu"]
    assert hurt.outcome.failed[lost.key] == (
        "the GPU failed (CUDA error: unspecified launch failure); see nvidia-smi, "
        "then run the same command again"
    )
    assert "asynchronously" in hurt.failures["lose-the-gpu"]["log"]
    outcome, view = drive(hurt.store, hurt.plugin, lost, *hurt.others)
    assert (outcome.failed, view.begun) == ({}, ["lose-the-gpu"])
    assert hurt.store.done(lost.key)


def test_a_task_that_wants_too_much_gpu_memory_says_so(hurt: Hurt) -> None:
    task = hurt.tasks["run-out-of-gpu-memory"]
    assert hurt.outcome.failed[task.key] == (
        "it found no more memory (CUDA out of memory. Tried to allocate 20.00 GiB.); "
        "it found none again when it ran alone"
    )
    assert hurt.failures["run-out-of-gpu-memory"]["error"] == hurt.outcome.failed[task.key]
    assert hurt.view.begun.count("run-out-of-gpu-memory") == 2


def test_what_a_task_leaves_behind_is_ended_with_it(hurt: Hurt) -> None:
    assert hurt.outcome.failed[hurt.tasks["leave"].key] == "its process ended with status 9"
    wait_until_none(hurt.at)


def test_a_hanging_task_is_stopped_at_its_limit_with_all_that_it_started(
    tmp_path: Path, plugin: Path
) -> None:
    hanging = fit("hang", tmp_path)
    outcome, _ = drive(open_store(tmp_path / "store", create=True), plugin, hanging, time_limit=1.0)
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
    victim: str, number: signal.Signals, plugin: Path, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "store", create=True)
    script = f"""
from pathlib import Path
from bench import registry
from bench.cli.progress import PlainView
from bench.runner.driver import Driver, RunSettings
from bench.runner.local import LocalExecutor
from bench.store import open_store
from bench.tasks import Task
registry.load_plugins([{str(plugin)!r}])
params = {dict(fit("hang", tmp_path).params)!r}
task = Task("generator.fit", 1, params, (), registry.adapter_id("generator", "hurt"))
settings = RunSettings("run", "env", "", plugins=({str(plugin)!r},))
Driver(open_store(Path({str(store.root)!r})), LocalExecutor(1), settings, PlainView()).run([task], {{}})
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL) as driver:
        until(lambda: len(waiting(tmp_path)) == 2)
        (task,) = (int(path.name.partition("-")[2]) for path in tmp_path.glob("begun-*"))
        worker = int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(driver.pid if victim == "driver" else worker, number)
        if victim == "worker":  # its task is begun again by another worker
            until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
            driver.kill()
    wait_until_none(tmp_path)


def waiting(folder: Path) -> list[int]:
    """Processes that a task started, which name this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words and b"import time; time.sleep(600)" in words:
            found.append(int(process.name))
    return found


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
