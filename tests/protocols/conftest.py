"""Small data sets in both layouts, and requests to any protocol at the scale for tests."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.planning.config import Skipped
from bench.planning.request import Prepared, RunRequest, prepare_request
from bench.sample import SampleSpec, write
from bench.store import Store, open_store
from bench.tasks import Task, closure

PLUGIN = '''
import numpy as np
from bench.methods import Detector, Generator, Params, Prediction, Sample

class Deep(Generator):
    """Anomalies, normals and depth of all that train/good is."""
    name, version, scope = "deep", 1, "category"
    needs = frozenset({"normal", "depth"})
    yields = frozenset({"anomaly", "mask", "type", "normal", "depth"})
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        (out / "nothing").write_text("")

    def sample(self, model, data, request, ctx):
        pool = data.categories[request.category].normal.pool
        for index in request.indices:
            rng = ctx.rng(request.defect, index)
            row = int(rng.integers(len(pool)))
            image, depth = np.array(pool.images[row]), np.array(pool.depth[row])
            if request.defect == "good":
                yield Sample(image, depth=depth)
                continue
            mask = np.zeros(depth.shape, bool)
            top, left = rng.integers(8, 40, 2)
            mask[top : top + 12, left : left + 12] = True
            image[mask] = 255 - image[mask]
            depth[mask] += 0.001
            yield Sample(image, mask, depth)

class Maker(Detector):
    """Makes anomalies of its own, and says of every pixel how bright it is."""
    name, version, task, modality, scope = "maker", 1, "anomaly", "rgb", "category"
    trains_on = frozenset({"normal", "pseudo", "real", "generated"})
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        drawn = data.draw(ctx.rng("batch"), 8)
        (out / "drawn.txt").write_text(f"{int(drawn.pseudo.sum())} {data.count('normal')}")

    def predict(self, model, images, ctx):
        for batch in images:
            yield Prediction(amap=batch.images.mean(axis=3).astype(np.float32) / 255)

class Normals(Maker):
    """Learns from normal images alone."""
    name, trains_on, modality = "normals", frozenset({"normal"}), "rgb"

class Relief(Maker):
    """Reads depth maps themselves."""
    name, modality, trains_on = "relief", "depth", frozenset({"normal"})
'''


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One category of two defect types, dent and stain, in MVTec AD layout."""
    spec = SampleSpec(size=64, train=6, test_good=3, per_defect=4, categories=("washer",))
    return _with_two_types(write(spec, tmp_path_factory.mktemp("data") / "flat"))


def _with_two_types(root: Path) -> Path:
    for defect in ("missing_part", "scratch"):
        for folder in root.glob(f"washer/*/{defect}"):
            shutil.rmtree(folder)
    return root


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in MVTec 3D layout, with depth."""
    spec = SampleSpec(
        size=64, train=6, test_good=3, per_defect=4, validation=0, categories=("washer",), layout="mvtec3d"
    )
    return _with_two_types(write(spec, tmp_path_factory.mktemp("data") / "deep"))


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory, plugged: Callable[..., Any]) -> Iterator[Path]:
    """A file with the generator `deep` and the detectors `maker`, `normals` and `relief`."""
    path = tmp_path_factory.mktemp("plugin") / "made.py"
    path.write_text(PLUGIN)
    with plugged(path):
        yield path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store", create=True)


class Planned:
    """What a protocol plans, to be asked about."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        everything = list(prepared.planned())
        self.skipped = [item for item in everything if isinstance(item, Skipped)]
        self.goals = [item for item in everything if isinstance(item, Task)]

    def tasks(self, stage: str) -> list[Task]:
        return [task for task in closure(self.goals).values() if task.stage == stage]

    def rows(self) -> list[tuple[str, str]]:
        """(mix, generator) of every detection score, in order."""
        scores = [task.params["labels"] for task in self.goals if task.stage == "score.detection"]
        return [(labels["mix"], labels.get("generator", "none")) for labels in scores]

    def trained_on(self) -> dict[str, set[str]]:
        """Mix to the kinds of images that its fit rests on."""
        kinds_by_mix = {}
        for goal in self.goals:
            if goal.stage == "score.detection":
                model = dict(dict(goal.inputs)["prediction"].inputs)["model"]
                kinds = {role.partition("/")[0] for role, _ in model.inputs}
                kinds_by_mix[goal.params["labels"]["mix"]] = kinds
        return kinds_by_mix

    def reasons(self, level: str) -> set[str]:
        """Why cells of a level are skipped."""
        return {cell.reason for cell in self.skipped if level in {name for name, _ in cell.metrics}}


@pytest.fixture
def planned(flat: Path, store: Store, plugin: Path) -> Callable[..., Planned]:
    def plan(protocol: str, **options: Any) -> Planned:
        request = RunRequest(protocol, **{"data": flat, "scale": "smoke", **options})
        return Planned(prepare_request(request, store, lambda what: lambda *progress: None))

    return plan
