"""The real driver with the real local executor, on a real pool and on a plug-in that misbehaves."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.methods import registry
from bench.planning.plan import make_plan
from bench.planning.request import Prepared
from bench.results.collect import why_missing
from bench.runner.driver import missing
from bench.runner.journal import newest_journal
from bench.stages.data import real_pools
from bench.store import Lease, Store, open_store
from bench.store.integrity import damage
from bench.store.store import write_atomically
from bench.tasks import Task, closure

Drive = Callable[..., Any]
Fit = Callable[..., Task]
NO_CONVERGENCE = "acts.py:52, in _act: ValueError: no convergence"


def sampled(model: Task) -> Task:
    params = {**model.params, "category": "washer", "defect": "any", "start": 0, "stop": 2}
    return Task("generator.sample", 1, params, (("model", model),), model.adapter)


def cached(*samples: Task) -> Task:
    params = {"category": "washer", "resolution": 16, "counts": {"any": 2}}
    return Task("generator.cache", 1, params, tuple(("samples/any", task) for task in samples))


def clean(store: Store) -> bool:
    """Nothing of running tasks is left."""
    left = [path for name in ("tmp", "leases") for path in (store.root / name).glob("*")]
    return [path.name for path in left if path.name != ".lock"] == []


def test_a_run_makes_what_is_missing_and_nothing_else(
    store: Store, prepare: Callable[..., Prepared], fit: Fit, drive: Drive
) -> None:
    prepared = prepare(store)
    real = real_pools(prepared.config, prepared.config.splits[0].categories[0])
    model = fit("write", real.base)
    goals = [cached(sampled(model)), real.test]
    outcome, view = drive(store, goals)
    assert (view.todo, view.done) == (5, 0)
    assert (outcome.ran, outcome.failed, outcome.blocked, outcome.drained) == (5, {}, {}, False)
    assert all(damage(store, key) == "" for key in closure(goals))
    assert clean(store)
    kept = {key: (store.folder(key) / "manifest.json").stat().st_mtime_ns for key in closure(goals)}

    outcome, view = drive(store, goals, run="again")
    assert (outcome.ran, view.todo, view.done) == (0, 0, 2)

    store.remove(goals[0].key)
    outcome, view = drive(store, goals, run="third")
    assert view.ended_titles == [goals[0].title]
    made_again = {
        key for key, time in kept.items() if (store.folder(key) / "manifest.json").stat().st_mtime_ns != time
    }
    assert made_again == {goals[0].key}


def test_inputs_of_goals_that_are_done_are_not_made(store: Store, fit: Fit, drive: Drive) -> None:
    model = fit("write")
    goal = sampled(model)
    drive(store, [goal])
    store.remove(model.key)
    assert missing(store, [goal]) == {}
    assert list(missing(store, [cached(goal), model])) == [cached(goal).key, model.key]


class Endings:
    """One run of tasks that end in every way."""

    def __init__(self, store: Store, fit: Fit, drive: Drive) -> None:
        self.store = store
        ways = ("fail", "exit", "vanish", "allocate", "print", "die", "write")
        self.models = {does: fit(does) for does in ways}
        self.goals = [cached(sampled(self.models["fail"])), cached(sampled(self.models["write"]))]
        store.record_failure(self.models["vanish"].key, {"error": "of another time"})
        everything = [*self.goals, *self.models.values()]
        self.outcome, _ = drive(store, everything)
        self.journal = newest_journal(store.root / "runs")


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory, fit: Fit, drive: Drive) -> Endings:
    return Endings(open_store(tmp_path_factory.mktemp("endings") / "store", create=True), fit, drive)


def test_a_failure_blocks_what_rests_on_it_and_nothing_else(endings: Endings) -> None:
    bad, outcome = endings.models["fail"], endings.outcome
    reason = f"{bad.title} failed: {NO_CONVERGENCE}"
    assert outcome.blocked == {sampled(bad).key: reason, endings.goals[0].key: reason}
    assert endings.store.done(endings.goals[1].key)
    assert len(outcome.failed) == 6
    assert outcome.ran == 9
    plan, _ = make_plan(endings.goals, {})
    assert why_missing(plan, endings.store)(endings.goals[0].key) == f"{bad.title}: {NO_CONVERGENCE}"


@pytest.mark.parametrize(
    ("does", "told", "logged"),
    [
        ("fail", NO_CONVERGENCE, "Traceback"),
        ("exit", "acts.py:66, in _act: SystemExit: 3", "fitting, which exit"),
        ("vanish", "its process ended with status 9", ""),
        ("allocate", "it found no more memory (Unable to allocate", "fitting, which allocate"),
        ("print", "acts.py:55, in _act: RuntimeError: printed enough", "the end"),
        ("die", "its process was killed by SIGKILL, most likely for want of memory", "fitting, which die"),
    ],
)
def test_however_a_task_ends_the_reason_is_told_and_kept(
    endings: Endings, does: str, told: str, logged: str
) -> None:
    task = endings.models[does]
    failure = endings.store.failure(task.key)
    assert failure is not None and failure["error"].startswith(told)
    assert endings.outcome.failed[task.key] == failure["error"]
    assert logged in failure["log"]
    assert len(failure["log"]) <= 4000
    assert failure["definition"] == json.loads(json.dumps(task.definition))
    assert not endings.store.done(task.key)


def test_the_journal_tells_how_a_run_ended(endings: Endings) -> None:
    journal = endings.journal
    assert journal is not None
    assert (journal["failed"], journal["blocked"]) == (endings.outcome.failed, endings.outcome.blocked)
    assert journal["finished"] == 9 and journal["running"] == {} and journal["ended"] >= journal["begun"]


def test_a_failed_task_is_tried_again_by_the_next_run(endings: Endings, fit: Fit, drive: Drive) -> None:
    bad = endings.models["fail"]
    outcome, _ = drive(endings.store, [bad, endings.goals[1]], run="again")
    assert outcome.failed == {bad.key: NO_CONVERGENCE}
    assert clean(endings.store)


def test_a_task_over_its_time_limit_is_stopped(store: Store, fit: Fit, drive: Drive) -> None:
    slow = fit("hang")
    outcome, _ = drive(store, [slow], time_limit=0.5)
    assert outcome.failed == {slow.key: "it was stopped at its time limit of 0.5 s"}
    assert not store.done(slow.key)


def test_a_driver_whose_task_another_took_over_leaves_what_that_one_makes(
    store: Store, fit: Fit, drive: Drive
) -> None:
    slow = fit("hang")
    lease = store.root / "leases" / f"{slow.key}.json"
    theirs = store.root / "tmp" / f"{slow.key}.theirs" / "out"

    def take_over() -> None:
        while not lease.exists():
            time.sleep(0.01)
        write_atomically(lease, json.dumps(asdict(Lease("elsewhere", 1, 1.0, "theirs"))))
        theirs.mkdir(parents=True)

    other = threading.Thread(target=take_over)
    other.start()
    outcome, _ = drive(store, [slow], time_limit=1.0)
    other.join()
    assert slow.key in outcome.failed
    assert theirs.is_dir()
    assert json.loads(lease.read_text())["run"] == "theirs"


def test_when_the_worker_dies_its_tasks_fail_and_the_rest_is_made_by_a_new_one(
    store: Store, fit: Fit, drive: Drive
) -> None:
    lost = fit("take-the-worker")
    after = [sampled(fit("write", seed=seed)) for seed in (1, 2)]
    outcome, _ = drive(store, [lost, *after], workers=1)
    assert "killed by SIGKILL" in outcome.failed[lost.key]
    assert all(store.done(task.key) for task in after)


def test_a_plugin_that_was_edited_since_the_plan_is_not_run_under_the_old_key(
    store: Store, fit: Fit, drive: Drive, acts: Path, tmp_path: Path
) -> None:
    task = fit("write")
    edited = tmp_path / "plugin.py"
    edited.write_text(acts.read_text().replace("half a model", "another model"))
    outcome, _ = drive(store, [task], plugins=(str(edited),))
    assert "was planned, but the code here is acts@1#" in outcome.failed[task.key]
    registry.load_plugins([str(edited)])
    assert registry.adapter_id("generator", "acts") != task.adapter
    registry.load_plugins([str(acts)])
    assert registry.adapter_id("generator", "acts") == task.adapter


def command(store: Path, data: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "bench", "run", "--protocol", "mvtec_supervised", "--scale", "smoke"),
        *("--data", str(data), "--store", str(store), "--detectors", "unet", *more),
    ]


def begin(store: Path, data: Path, acts: Path, does: str) -> "subprocess.Popen[str]":
    more = ("--generators", "acts", "--plugin", str(acts), "--set", f"acts.does={does}")
    return subprocess.Popen(
        command(store, data, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def until(process: "subprocess.Popen[str]", wanted: Callable[[str], bool]) -> None:
    """Read what the process prints until a line is as wanted."""
    assert process.stdout is not None
    for line in process.stdout:
        if wanted(line):
            return
    raise AssertionError(f"ended with {process.wait()} before that line")


def fits_running(store: Path) -> bool:
    return any(store.glob("scratch/*/began"))


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(sig, marks=pytest.mark.full) for sig in (signal.SIGTERM, signal.SIGUSR1))],
)
def test_a_signal_to_stop_lets_what_runs_end_and_begins_nothing(
    tmp_path: Path, tiny_data: Path, acts: Path, number: signal.Signals
) -> None:
    store, gate = tmp_path / "store", tmp_path / "gate"
    with begin(store, tiny_data, acts, f"wait-for {gate}") as process:
        watch_for_a_fit(store, process)
        process.send_signal(number)
        until(process, lambda line: line.startswith("stopping"))
        gate.touch()
        told = process.stdout.read() if process.stdout else ""
    assert process.returncode == 130
    assert "stopped; the same command goes on from here" in told
    fits = [path for path in store.glob("tasks/*/*/task.json") if '"generator.fit"' in path.read_text()]
    assert len(fits) == 1
    assert not list(store.glob("tmp/*")) and not list(store.glob("leases/*.json"))
    assert not any('"generator.sample"' in path.read_text() for path in store.glob("tasks/*/*/task.json"))


def test_two_signals_stop_at_once_and_leaves_no_process(tmp_path: Path, tiny_data: Path, acts: Path) -> None:
    store = tmp_path / "store"
    with begin(store, tiny_data, acts, f"wait-for {tmp_path / 'never'}") as process:
        watch_for_a_fit(store, process)
        children = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        until(process, lambda line: line.startswith("stopping"))
        process.send_signal(signal.SIGTERM)
        told = process.stdout.read() if process.stdout else ""
    assert process.returncode == 130
    assert "stopped" in told
    assert len(children) >= 2
    for child in children:
        wait_for_end(child)
    assert not list(store.glob("failures/*.json"))


def watch_for_a_fit(store: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until the plug-in's `fit` is under way."""
    ticking = threading.Event()
    while not fits_running(store):
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        ticking.wait(0.02)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child, *descendants(child)}
    return found


def wait_for_end(pid: int) -> None:
    """Return when no process with this number runs; the test's time limit is the runner's."""
    ticking = threading.Event()
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        ticking.wait(0.02)


A_DRIVER = """
import sys
from bench.methods import registry
from bench.cli.progress import PlainView
from bench.runner.driver import Driver, RunSettings
from bench.runner.local import LocalExecutor
from bench.store import open_store
from bench.stages.data import real_pools
from bench.tasks import Task
from pathlib import Path

root, plugin, run = sys.argv[1:]
registry.load_plugins([plugin])
adapter = registry.adapter_id("generator", "acts")
goals = []
for seed in range(20):
    params = {"params": {"does": "write"}, "category": "washer", "defect": "any", "resolution": 16}
    model = Task("generator.fit", 1, params, (), adapter, seed)
    params = {**params, "start": 0, "stop": 1}
    goals.append(Task("generator.sample", 1, params, (("model", model),), adapter, seed))
settings = RunSettings(run, "env", "", plugins=(plugin,))
print("ready", flush=True)
input()
outcome = Driver(open_store(Path(root)), LocalExecutor(1), settings, PlainView()).run(goals, {})
assert not outcome.failed and not outcome.blocked
print("ran", outcome.ran)
"""


def test_two_drivers_on_one_store_share_the_work(store: Store, acts: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", A_DRIVER, str(store.root), str(acts), run],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for run in ("one", "other")
    ]
    for process in both:
        until(process, lambda line: line == "ready\n")
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    ran = [int(text.rpartition("ran ")[2]) for text in told]
    assert sum(ran) == 40  # no task twice
    assert min(ran) > 0
    assert len(list(store.keys())) == 40
    assert clean(store)
    assert not list((store.root / "failures").iterdir())
