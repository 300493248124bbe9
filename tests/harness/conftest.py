from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.methods import registry
from bench.planning.plan import make_plan
from bench.planning.request import Prepared, RunRequest, prepare_request
from bench.record.record import Record
from bench.runner.driver import Driver, Outcome, RunSettings
from bench.runner.jobs import Event
from bench.runner.local import LocalExecutor
from bench.sample import SampleSpec, write
from bench.store import Store, open_store
from bench.tasks import Task

PLUGIN = '''
import os, signal, sys, time
import numpy as np
from bench.methods import Generator, Params, Sample

class ActsParams(Params):
    does: str = "write"

class Acts(Generator):
    """Does in `fit` what its parameter says."""
    name, version, scope = "acts", 1, "category"
    needs, yields = frozenset(), frozenset({"anomaly", "mask"})
    Params, presets = ActsParams, {"tiny": {}}

    def fit(self, data, out, ctx):
        does, _, rest = self.params.does.partition(" ")
        print("fitting, which", does)
        (out / "partial").write_text("half a model")
        if does == "fail":
            raise ValueError("no convergence")
        if does == "exit":
            sys.exit(3)
        if does == "vanish":
            os._exit(9)
        if does == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if does == "take-the-worker":
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()
        if does == "allocate":
            np.empty(1 << 60, np.uint8)
        if does == "hang":
            signal.pause()
        if does == "wait-for":
            (ctx.scratch / "began").touch()
            while not os.path.exists(rest):
                time.sleep(0.01)
        if does == "print":
            print("x" * 20_000 + " the end")
            raise RuntimeError("printed enough")

    def sample(self, model, data, request, ctx):
        for _ in request.indices:
            image = np.zeros((data.resolution, data.resolution, 3), np.uint8)
            yield Sample(image, np.ones(image.shape[:2], bool))
'''


class Silent:
    """A view that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended_titles: list[str] = []
        self.errors: dict[str, str] = {}

    def begin(self, todo: int, done: int) -> None:
        self.todo, self.done = todo, done

    def started(self, task: Task) -> None: ...

    def progress(self, task: Task, event: Event) -> None: ...

    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None:
        self.ended_titles.append(task.title)
        if error:
            self.errors[task.key] = error

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None: ...


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One category of four defect types with four images each, rendered by code."""
    spec = SampleSpec(size=64, train=6, test_good=2, per_defect=4, categories=("washer",))
    return write(spec, tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def two_categories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = SampleSpec(size=64, train=3, test_good=2, per_defect=6, categories=("leather", "washer"))
    return write(spec, tmp_path_factory.mktemp("data") / "two")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store", create=True)


@pytest.fixture
def prepare(tiny_data: Path) -> Callable[..., Prepared]:
    """A request at scale smoke, checked and resolved; whatever is not named is small."""

    def prepared(store: Store, **asked: Any) -> Prepared:
        small = {
            "data": tiny_data,
            "scale": "smoke",
            "generators": ("crop_paste",),
            "detectors": ("unet",),
            **asked,
        }
        request = RunRequest("mvtec_supervised", **small)
        return prepare_request(request, store, lambda what: lambda *told: None)

    return prepared


@pytest.fixture
def planned(prepare: Callable[..., Prepared]) -> Callable[..., Any]:
    """(plan, goals) of such a request."""

    def plan(store: Store, **asked: Any) -> Any:
        prepared = prepare(store, **asked)
        return make_plan(prepared.planned(), prepared.about)

    return plan


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A plug-in file with the generator `acts`."""
    path = tmp_path_factory.mktemp("plugin") / "plugin.py"
    path.write_text(PLUGIN)
    registry.load_plugins([str(path)])
    yield path
    registry._PLUGINS["generator"].pop("acts", None)


@pytest.fixture(scope="module")
def fit(plugin: Path) -> Callable[..., Task]:
    """A task of the stage generator.fit whose adapter does what is said."""

    def task(does: str, *inputs: Task, seed: int = 0) -> Task:
        params = {"params": {"does": does}, "category": "", "defect": "", "resolution": 16}
        adapter = registry.adapter_id("generator", "acts")
        named = tuple((f"also/{number}", used) for number, used in enumerate(inputs))
        return Task("generator.fit", 1, params, named, adapter, seed)

    return task


@pytest.fixture(scope="module")
def drive(plugin: Path) -> Callable[..., tuple[Outcome, Silent]]:
    """Run goals with the real driver and the real local executor."""

    def run(
        store: Store, goals: Sequence[Task], run: str = "run", workers: int = 2, **settings: Any
    ) -> tuple[Outcome, Silent]:
        view = Silent()
        told = RunSettings(**{"env": "env", "commit": "", "plugins": (str(plugin),), **settings}, run=run)
        outcome = Driver(store, LocalExecutor(workers), told, view).run(goals, {"plan": "none"})
        return outcome, view

    return run


@pytest.fixture
def silent() -> type[Silent]:
    return Silent


@pytest.fixture
def publish() -> Callable[..., Any]:
    """Put a task into a store with the given files, as a worker would have."""

    def done(store: Store, task: Task, files: dict[str, str] | None = None, **facts: Any) -> Any:
        with store.writing(task.key) as aside:
            for name, text in (files or {"made": task.key}).items():
                (aside / "out" / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / "out" / name).write_text(text)
            return store.publish(aside, task.definition, **facts)

    return done


@pytest.fixture
def record() -> Record:
    return Record(protocol="p", metric="auroc", level="pixel", value=0.25, n=3)
