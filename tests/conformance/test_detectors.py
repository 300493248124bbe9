"""The built-in detectors pass the suite, and detectors that break the interface do not."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from bench.conformance.detector import CHECKS, DetectorTrial, blob_split, run_checks
from bench.methods import Batch, Detector, DetectorSplit, Params, Prediction
from bench.methods.context import Context
from detectors.draem import Draem
from detectors.glass import Glass
from detectors.patchcore import PatchCore
from detectors.resnet34 import ResNet34
from detectors.segmenters.bisenet_v2 import BiSeNetV2
from detectors.segmenters.lfd import LFD
from detectors.segmenters.unet import UNet
from detectors.segmenters.unet_draem import UNetDraem
from detectors.segmenters.upernet import UPerNet

BUILT_IN = [UNet, UNetDraem, BiSeNetV2, ResNet34, Draem, Glass, PatchCore, LFD, UPerNet]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[type[Detector], DetectorTrial]:
    return {cls: DetectorTrial(cls, tmp_path_factory.mktemp(cls.name)) for cls in BUILT_IN}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: cls.name)
def test_a_built_in_detector_conforms(trials, cls, check) -> None:
    check(trials[cls])


class BrokenParams(Params):
    fault: str = Field("none", description="what to do wrong")


class Broken(Detector):
    """Finds what is brighter or darker than the mean of the training images; does one thing wrong."""

    name = "broken"
    version = 1
    task = "segmentation"
    modality = "rgb"
    scope = "dataset"
    frugal = frozenset({"fit"})
    Params = BrokenParams
    presets = {"tiny": {}}
    params: BrokenParams
    seen: dict[str, str] = {}

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        fault, means, state = self.params.fault, [], ctx.scratch / "means.json"
        if state.exists() and fault != "forgets":
            means = json.loads(state.read_text())
        for step in range(len(means), 4):
            means.append(float(data.draw(ctx.rng("batch", step), 4).images.mean()))
            if fault == "repeats" and state.exists():
                means.append(0.0)
            state.write_text(json.dumps(means))
            try:
                ctx.progress(step + 1, 4)
            except BaseException:
                if fault != "swallows":
                    raise
        if fault == "seed" or (fault == "less" and ctx.frugal):
            means = [100.0]
        if fault == "global":
            np.random.rand()  # noqa: NPY002 - the fault to be found
        self.seen["mean"] = str(np.mean(means))
        model = {"mean": float(np.mean(means)), "path": str(out) if fault == "path" else ""}
        (out / "model.json").write_text(json.dumps(model))

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        fault = self.params.fault
        mean = (
            float(self.seen["mean"])
            if fault == "memory"
            else json.loads((model / "model.json").read_text())["mean"]
        )
        for batch in images:
            if fault == "batch":
                mean = float(batch.images.mean())
            amap = np.abs(batch.images.mean(axis=3) - mean).astype(np.float32) / 255
            if fault == "dtype":
                amap = amap.astype(np.float64)
            if fault == "size":
                amap = amap[:, ::2, ::2]
            if fault == "finite":
                amap = amap / np.float32(0)
            yield Prediction(score=amap.max(axis=(1, 2))) if fault == "mapless" else Prediction(amap=amap)


FAULTS = {
    "dtype": "predicts_what_its_task_says",
    "size": "predicts_what_its_task_says",
    "finite": "predicts_what_its_task_says",
    "mapless": "predicts_what_its_task_says",
    "path": "same_seed_same_bytes",
    "less": "comes_to_the_same_in_less_memory",
    "seed": "another_seed_differs",
    "batch": "ignores_the_batch_size",
    "repeats": "goes_on_after_an_interruption",
    "swallows": "goes_on_after_an_interruption",
    "global": "leaves_global_randomness",
}


@pytest.mark.parametrize("fault", ["none", "forgets"])
def test_a_right_detector_passes_every_check_with_or_without_checkpoints(tmp_path: Path, fault: str) -> None:
    results = run_checks(DetectorTrial(Broken, tmp_path, overrides={"fault": fault}))
    assert [result for result in results if result.status != "ok"] == []


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_the_check_for_it(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [check for check in CHECKS if check.__name__ == FAULTS[fault]]
    monkeypatch.setattr("bench.conformance.detector.CHECKS", checks)
    [result] = run_checks(DetectorTrial(Broken, tmp_path, overrides={"fault": fault}))
    assert result.status == "failed"
    assert "\n" not in result.note


def test_a_model_kept_in_memory_is_found_by_a_fresh_process(tmp_path: Path) -> None:
    results = run_checks(DetectorTrial(Broken, tmp_path, overrides={"fault": "memory"}))
    assert "predicts_anywhere_from_the_folder_alone" in [r.check for r in results if r.status == "failed"]


def test_a_detector_that_misses_weights_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    results = run_checks(DetectorTrial(ResNet34, tmp_path, overrides={"init_weights": "imagenet"}))
    assert {result.status for result in results} == {"skipped"}
    assert all("resnet34-b627a593.pth" in result.note for result in results)


def test_the_blob_split_has_every_kind_of_example() -> None:
    split = blob_split(32)
    batch = split.draw(np.random.Generator(np.random.PCG64(0)), 64)
    assert batch.masks is not None
    assert batch.labels is not None
    assert set(batch.labels) == {-1, 0, 1, 2, 3}
    assert all(batch.masks[batch.labels >= 0].any(axis=(1, 2)))
    assert not batch.masks[batch.labels < 0].any()
