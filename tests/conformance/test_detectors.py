"""Built-in detectors and honest plug-ins pass the suite; a broken rule is reported by the check for it."""

from pathlib import Path

import numpy as np
import pytest

from bench.conformance.blob_split import blob_split
from bench.conformance.checks import Nonconformance
from bench.conformance.detector import CHECKS, DetectorTrial, predicts_what_its_task_says, run_checks
from bench.conformance.shared_checks import validates_parameters
from bench.methods import View, registry
from detectors.resnet34 import ResNet34

BUILT_IN = [
    pytest.param(name, id=name, marks=pytest.mark.xdist_group(name)) for name in registry.names("detector")
]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DetectorTrial]:
    names = registry.names("detector")
    return {
        name: DetectorTrial(registry.load("detector", name), tmp_path_factory.mktemp(name)) for name in names
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_detector_conforms(trials: dict[str, DetectorTrial], name: str, check) -> None:
    check(trials[name])


@pytest.mark.parametrize("fault", ["none", "forgets"])
def test_an_honest_detector_passes_every_check_with_or_without_checkpoints(
    tmp_path: Path, plugin_class, fault: str
) -> None:
    results = run_checks(DetectorTrial(plugin_class("random_patches"), tmp_path, overrides={"fault": fault}))
    assert [result for result in results if result.status != "ok" or result.note] == []


def test_an_honest_detector_in_closed_form_passes_with_a_note_on_seeds_and_on_steps(
    tmp_path: Path, plugin_class
) -> None:
    results = run_checks(DetectorTrial(plugin_class("pixel_gauss"), tmp_path))
    assert {result.status for result in results} == {"ok"}
    assert {result.check: result.note for result in results if result.note} == {
        "another_seed_differs": "seeds 0 and 1 give the same predictions: right for a method that asks ctx "
        "for no random stream",
        "goes_on_after_an_interruption": "fit never calls ctx.progress: right for a fit of one step; a "
        "longer one calls it after each",
    }


FAULTS = {
    "float64": ("predicts_what_its_task_says", "amap is float64, not float32"),
    "half size": ("predicts_what_its_task_says", "amap has shape (12, 32, 32), not (12, 64, 64)"),
    "infinite": ("predicts_what_its_task_says", "amap holds values that are not finite"),
    "no map": ("predicts_what_its_task_says", "a segmenter gave no map"),
    "path in the model": ("same_seed_same_bytes", "two fits with one seed wrote other model.json"),
    "less memory": ("comes_to_the_same_in_less_memory", "a fit in less memory wrote other model.json"),
    "ignores its streams": ("another_seed_differs", "though ctx was asked for the random streams batch"),
    "peeks at its batch": ("ignores_the_other_images", "amap in batches of 1 differs by"),
    "peeks at all test images": ("ignores_the_other_images", "amap without the other images differs by"),
    "repeats a step": ("goes_on_after_an_interruption", "other bytes are in model.json"),
    "swallows interruptions": ("goes_on_after_an_interruption", "that ctx.progress raises is swallowed"),
    "hides its steps": ("goes_on_after_an_interruption", "keeps files in ctx.scratch and never calls"),
    "global randomness": ("leaves_global_randomness", "the global random state of numpy changed"),
    "keeps the model in memory": ("works_in_a_fresh_process", "in predict: KeyError: 'mean'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_by_the_check_for_it(tmp_path: Path, plugin_class, fault: str) -> None:
    name, sentence = FAULTS[fault]
    trial = DetectorTrial(plugin_class("random_patches"), tmp_path, overrides={"fault": fault})
    [result] = trial.results([check for check in CHECKS if check.__name__ == name])
    assert result.status == "failed"
    assert sentence in result.note
    assert "\n" not in result.note


def test_an_error_of_the_detector_is_reported_with_its_file_and_line(
    tmp_path: Path, plugin_class, line_of_the_crash
) -> None:
    trial = DetectorTrial(plugin_class("random_patches"), tmp_path, overrides={"fault": "crashes"})
    notes = {result.note for result in run_checks(trial) if result.status == "failed"}
    assert f"{line_of_the_crash('random_patches')}, in predict: KeyError: 'x'" in notes


def test_a_seed_that_the_file_fixes_itself_is_reported_with_its_line(tmp_path: Path, plugin_class) -> None:
    trial = DetectorTrial(plugin_class("fixed_seed"), tmp_path)
    failed = {result.check: result.note for result in run_checks(trial) if result.status == "failed"}
    assert failed == {
        "another_seed_differs": "seeds 0 and 1 give the same predictions; fixed_seed.py:16 calls "
        "default_rng: draw from ctx.rng or ctx.torch_stream"
    }


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


def test_a_detector_is_tried_at_its_own_side_and_a_view_that_is_none_is_reported(
    tmp_path: Path, plugin_class
) -> None:
    class Central(plugin_class("pixel_gauss")):
        def view(self, category=""):
            return View(40, "crop", 48)

    class Odd(plugin_class("pixel_gauss")):
        def view(self, category=""):
            return 40, 48

    trial = DetectorTrial(Central, tmp_path)
    predicts_what_its_task_says(trial)
    assert trial.used(None)["amap"].shape[1:] == (40, 40)
    with pytest.raises(Nonconformance, match=r"view\(\) of preset None gives \(40, 48\)"):
        validates_parameters(DetectorTrial(Odd, tmp_path))
