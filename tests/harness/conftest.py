from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.planning.plan import make_plan
from bench.planning.request import Prepared, RunRequest, prepare_request
from bench.record.record import Record
from bench.sample import SampleSpec, write
from bench.store import Store, open_store
from bench.tasks import Task


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

    def prepared(store: Store, **changes: Any) -> Prepared:
        small = {
            "data": tiny_data,
            "scale": "smoke",
            "generators": ("crop_paste",),
            "detectors": ("unet",),
            **changes,
        }
        request = RunRequest("mvtec_supervised", **small)
        return prepare_request(request, store, lambda what: lambda *counts: None)

    return prepared


@pytest.fixture
def planned(prepare: Callable[..., Prepared]) -> Callable[..., Any]:
    """(plan, goals) of such a request."""

    def plan(store: Store, **changes: Any) -> Any:
        prepared = prepare(store, **changes)
        return make_plan(prepared.planned(), prepared.about)

    return plan


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
