"""What tests of several folders share: plug-in files for a while, a generator that goes wrong on purpose,
runs of the real driver, and anomalib, the peer of PatchCore."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bench.methods import registry
from bench.store import Store
from bench.tasks import Task

# on a loaded machine drawing inputs is slow, and that says nothing of what is tested
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")


@pytest.fixture(scope="session")
def plugged() -> Callable[[Path], AbstractContextManager[None]]:
    """Inside `with plugged(file)` the methods of a plug-in file are registered, outside they are not."""

    @contextmanager
    def plug(path: Path) -> Iterator[None]:
        before = {kind: set(adapters) for kind, adapters in registry._PLUGINS.items()}
        registry.load_plugins([str(path)])
        try:
            yield
        finally:
            for kind, adapters in registry._PLUGINS.items():
                for name in set(adapters) - before[kind]:
                    del adapters[name]

    return plug


@pytest.fixture(scope="module")
def acts(plugged: Callable[[Path], AbstractContextManager[None]]) -> Iterator[Path]:
    """The plug-in file of the generator `acts`, which does in `fit` what its parameter says."""
    path = Path(__file__).parent / "plugins" / "acts.py"
    with plugged(path):
        yield path


@pytest.fixture(scope="module")
def fit(acts: Path) -> Callable[..., Task]:
    """A fit of `acts`; what it does to others it logs in the folder `at`."""

    def task(does: str, *inputs: Task, seed: int = 0, at: Path | None = None) -> Task:
        options = {"does": does, **({"at": str(at)} if at else {})}
        params = {"params": options, "category": "", "defect": "", "resolution": 16}
        roles = tuple((f"base/{number}", task) for number, task in enumerate(inputs))
        return Task("generator.fit", 1, params, roles, registry.adapter_id("generator", "acts"), seed)

    return task


class RecordingView:
    """A view of a run that prints nothing and remembers everything."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.begun: list[Task] = []
        self.ended_titles: list[str] = []
        self.errors: dict[str, str] = {}

    def begin(self, todo: int, done: int) -> None:
        self.todo, self.done = todo, done

    def started(self, task: Task) -> None:
        self.begun.append(task)

    def progress(self, task: Task, event: Any) -> None: ...

    def ended(self, task: Task, error: str | None, *, again: bool = False) -> None:
        self.ended_titles.append(task.title)
        if error:
            self.errors[task.key] = error

    def say(self, text: str) -> None:
        self.sentences.append(text)

    def close(self) -> None: ...


@pytest.fixture(scope="session")
def recording_view() -> type[RecordingView]:
    return RecordingView


@pytest.fixture(scope="module")
def drive(acts: Path) -> Callable[..., tuple[Any, RecordingView]]:
    """Run goals with the real driver and the real local executor: its outcome, and what its view saw."""
    from bench.runner.driver import Driver, RunSettings
    from bench.runner.local import LocalExecutor

    def run(
        store: Store, goals: Sequence[Task], run: str = "run", workers: int = 2, **settings: Any
    ) -> tuple[Any, RecordingView]:
        view = RecordingView()
        defaults = {"env": "env", "commit": "", "plugins": (str(acts),)}
        driver = Driver(store, LocalExecutor(workers), RunSettings(**{**defaults, **settings}, run=run), view)
        return driver.run(goals, {"plan": "none"}), view

    return run


@pytest.fixture(scope="session")
def anomalib() -> Any:
    """anomalib's PatchCore, its greedy sampler, and `twin`, its PatchCore with the weights of our backbone.

    Skipped where the extra `peers` is not installed.
    """
    spec = importlib.util.find_spec("anomalib")
    if spec is None or spec.origin is None:
        pytest.skip("anomalib is not installed: pip install 'defectbench[peers]'")
    for name in ("models", "models.image"):
        # Each of these loads thirty models, of which one is compared.
        package = types.ModuleType(f"anomalib.{name}")
        package.__path__ = [str(Path(spec.origin).parent / name.replace(".", "/"))]
        sys.modules.setdefault(package.__name__, package)
    model = import_module("anomalib.models.image.patchcore.torch_model").PatchcoreModel
    greedy = import_module("anomalib.models.components.sampling.k_center_greedy").KCenterGreedy

    def twin(ours: Any) -> Any:
        theirs = model(layers=ours.layers, backbone=ours.name.removeprefix("timm/"), pre_trained=False)
        network = theirs.feature_extractor.feature_extractor
        # Feature-only networks of timm name some of their modules with underscores.
        flat = {name.replace(".", "_"): value for name, value in ours.network.state_dict().items()}
        network.load_state_dict({name: flat[name.replace(".", "_")] for name in network.state_dict()})
        return theirs

    return types.SimpleNamespace(Model=model, Greedy=greedy, twin=twin)
