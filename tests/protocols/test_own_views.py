"""Methods that ask for images of their own side and fit get them from the files, and give back whole maps."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.data.view import View
from bench.errors import BenchError
from bench.planning.config import PlanConfig
from bench.planning.methods import Overrides, resolve
from bench.planning.protocol_file import load_protocol
from bench.runner.execute import run_stage
from bench.runner.jobs import Job
from bench.stages.data import DataCache
from bench.store import Store
from bench.tasks import Task, closure

PLUGIN = '''
import json
import numpy as np
from bench.methods import Detector, Generator, Prediction, Sample, View

class Wide(Generator):
    """Paints a thin line into the centre of normal images, at 96 pixels."""
    name, version, scope = "wide", 1, "category"
    needs = frozenset({"normal"})
    yields = frozenset({"anomaly", "mask"})
    presets = {"tiny": {}}

    def view(self, category=""):
        return View(96, "crop")

    def fit(self, data, out, ctx):
        (out / "side.json").write_text(json.dumps(data.resolution))

    def sample(self, model, data, request, ctx):
        for index in request.indices:
            normal = data.categories[request.category].normal[0]
            assert normal.shape[0] == data.resolution == 96
            image, mask = normal.copy(), np.zeros(normal.shape[:2], bool)
            mask[40:42, 10:80] = True
            image[mask] = 255
            yield Sample(image, mask)

class Centre(Detector):
    """Sees the centre at 40 of 48 pixels, and says how bright it is."""
    name, version, task, modality, scope = "centre", 1, "anomaly", "rgb", "category"
    presets = {"tiny": {}}

    def view(self, category=""):
        return View(40, "crop", 48)

    def fit(self, data, out, ctx):
        batch = data.draw(ctx.rng("batch"), 8)
        seen = {"side": data.resolution, "image": batch.images.shape[1], "masks": batch.masks.shape[1]}
        (out / "seen.json").write_text(json.dumps(seen))

    def predict(self, model, images, ctx):
        for batch in images:
            assert batch.images.shape[1:3] == (40, 40)
            yield Prediction(amap=1 + batch.images.mean(axis=3).astype(np.float32) / 255)

class Alike(Centre):
    """Asks for the same images."""
    name = "alike"
'''


@pytest.fixture(scope="module")
def wide_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One category of images of 96 x 144 pixels; the defects of half of the images lie at the left border."""
    root, rng = tmp_path_factory.mktemp("data") / "wide", np.random.default_rng(0)
    for folder, count in (("train/good", 4), ("test/good", 2), ("test/cut", 6)):
        (root / "bar" / folder).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(60, 90, (96, 144, 3), dtype=np.uint8)
            if folder == "test/cut":
                mask = np.zeros((96, 144), np.uint8)
                left = 2 if number % 2 else 60
                mask[40:56, left : left + 16] = 255
                image[mask > 0] = 250
                (root / "bar/ground_truth/cut").mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(root / f"bar/ground_truth/cut/{number:03d}_mask.png")
            Image.fromarray(image).save(root / "bar" / folder / f"{number:03d}.png")
    return root


@pytest.fixture(scope="module")
def own_views(tmp_path_factory: pytest.TempPathFactory, plugged: Callable[..., Any]):
    path = tmp_path_factory.mktemp("plugin") / "views.py"
    path.write_text(PLUGIN)
    with plugged(path):
        yield path


def test_pools_are_made_at_each_view_and_shared(planned, wide_data, own_views) -> None:
    plan = planned(
        "mvtec_supervised",
        data=wide_data,
        generators=("wide", "crop_paste"),
        detectors=("unet", "centre", "alike"),
        plugins=(own_views,),
    )
    pools = plan.tasks("data.cache")
    views = {(task.params["resolution"], task.params.get("short_side")) for task in pools}
    assert views == {(64, None), (96, 96), (40, 48)}
    assert len(pools) == 3 * 3 - 1  # the generator sees no test images
    config: PlanConfig = plan.prepared.config
    category = config.splits[0].categories[0]
    plain = DataCache.task(config, "bar", "test", category.test).key
    assert plain in {task.key for task in pools}
    assert {"category", "part", "content", "counts", "resolution"} == set(
        DataCache.task(config, "bar", "test", category.test).params
    )
    caches = [task for task in plan.tasks("generator.cache") if task.params["resolution"] == 40]
    # images of the generator that cuts have their proportions; those of the other get them back
    assert sorted(any(role == "normal" for role, _ in task.inputs) for task in caches) == [False, True]


def test_what_no_method_asks_for_changes_no_key(planned, wide_data, own_views) -> None:
    def keys(detectors: tuple[str, ...]) -> set[str]:
        plan = planned(
            "mvtec_supervised",
            data=wide_data,
            generators=("crop_paste",),
            detectors=detectors,
            plugins=(own_views,),
        )
        return {task.key for task in plan.goals if task.params.get("labels", {}).get("detector") != "centre"}

    assert keys(("unet",)) == keys(("unet", "centre"))


@pytest.mark.parametrize(
    ("kind", "name", "category", "expected"),
    [
        ("generator", "seas", "bottle", View(512, "crop")),
        ("detector", "glass", "bottle", View(288, "crop", 288)),
        ("detector", "glass", "wood", View(288, "crop", 329)),
        ("detector", "glass", "toothbrush", View(288, "crop", 329)),
        ("detector", "patchcore", "bottle", View(224, "crop", 256)),
        ("detector", "patchcore[seas]", "bottle", View(256)),
        ("detector", "patchcore[quick]", "bottle", None),
        ("detector", "unet", "bottle", None),
    ],
)
def test_methods_ask_for_what_their_releases_have(kind, name, category, expected) -> None:
    spec = load_protocol("mvtec_supervised")
    method = resolve(kind, name, spec, spec.scale("paper"), Overrides({}), {})
    assert method.own_view(category) == expected


def test_a_fit_of_several_categories_has_one_side() -> None:
    spec = load_protocol("mvtec_supervised")
    config = PlanConfig(**{**dict.fromkeys(PlanConfig.__dataclass_fields__), "resolution": 64})
    method = resolve("detector", "glass", spec, spec.scale("paper"), Overrides({}), {})
    assert config.side(method, ("wood", "bottle")) == 288
    split = replace(method, own_view=lambda category: View(32 if category == "wood" else 48))
    with pytest.raises(BenchError, match="'glass' asks for images of 32, 48 pixels in one fit"):
        config.side(split, ("wood", "bottle"))


def carry_out(store: Store, goals: list[Task]) -> dict[str, list[Path]]:
    """Run tasks and all that they rest on in this process: stage to the outputs."""
    outputs: dict[str, list[Path]] = {}
    for key, task in closure(goals).items():
        job = Job(key, task.definition, str(store.root), "run", "env", "")
        with store.writing(key) as aside:
            run_stage(job, store, aside / "out", lambda *progress: None)
            store.publish(
                aside, task.definition, seconds=0, gpu_seconds=0, peak_memory=0, env="", run="run", commit=""
            )
        outputs.setdefault(task.stage, []).append(store.out(key))
    return outputs


def test_a_run_learns_at_its_own_size_and_its_maps_cover_the_whole_image(
    planned, wide_data, own_views, store
) -> None:
    plan = planned(
        "mvtec_supervised",
        data=wide_data,
        generators=("wide",),
        detectors=("centre",),
        plugins=(own_views,),
    )
    [goal] = [
        task
        for task in plan.goals
        if task.stage == "score.detection" and task.params["labels"]["mix"] == "generated+real"
    ]
    outputs = carry_out(store, [goal])
    [model], [prediction] = outputs["detector.fit"], outputs["detector.predict"]
    assert json.loads((model / "seen.json").read_text()) == {"side": 40, "image": 40, "masks": 40}
    maps = np.load(prediction / "amaps.npy")
    assert maps.shape[1:] == (64, 64)
    lowest = maps.min()
    assert (maps[:, :, 0] == lowest).all() and (maps[:, 0] == lowest).all()
    assert lowest > 1 and not (maps[:, 32, 32] == lowest).any()
    records = map(json.loads, (store.out(goal.key) / "records.jsonl").read_text().splitlines())
    [note] = {record["note"] for record in records if record["level"] == "pixel"}
    assert note == "50.0% of the defect pixels lie outside what the detector sees"
