"""Built-in generators and honest plug-ins pass the suite; a broken rule is reported by the check for it."""

from pathlib import Path

import pytest

from bench.conformance.generator import CHECKS, GeneratorTrial, run_checks
from bench.conformance.shared_checks import works_in_a_fresh_process
from bench.methods import registry
from generators.crop_paste import CropPaste
from generators.perlin import Perlin

BUILT_IN = [
    pytest.param(name, id=name, marks=pytest.mark.xdist_group(name)) for name in registry.names("generator")
]
PASTE = {"crop_paste", "cutpaste", "perlin"}
"""Those that leave the base image as it is outside the mask."""


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GeneratorTrial]:
    return {
        name: GeneratorTrial(
            registry.load("generator", name),
            tmp_path_factory.mktemp(name),
            outside=0 if name in PASTE else None,
        )
        for name in registry.names("generator")
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_generator_conforms(trials: dict[str, GeneratorTrial], name: str, check) -> None:
    trial = trials[name]
    if missing := trial.configured().missing():
        pytest.skip(f"tests/generators/{name} runs the suite with weights of its own: {missing[0]}")
    check(trial)


@pytest.mark.parametrize("placement", ["same-place", "similar", "natural"])
def test_crop_paste_conforms_with_every_placement_and_a_feather(tmp_path: Path, placement: str) -> None:
    options = {"placement": placement, "feather": 1, "match": "ring"}
    trial = GeneratorTrial(CropPaste, tmp_path, overrides=options, outside=2)
    results = trial.results([check for check in CHECKS if check is not works_in_a_fresh_process])
    assert [result for result in results if result.status != "ok"] == []


def test_an_honest_generator_passes_every_check(tmp_path: Path, plugin_class) -> None:
    results = run_checks(GeneratorTrial(plugin_class("random_squares"), tmp_path))
    assert {result.status for result in results} == {"ok"}


def test_an_honest_generator_without_randomness_passes_with_a_note(tmp_path: Path, plugin_class) -> None:
    results = {
        result.check: result for result in run_checks(GeneratorTrial(plugin_class("in_turn"), tmp_path))
    }
    assert {result.status for result in results.values()} == {"ok"}
    assert "asks ctx for no random stream" in results["another_seed_differs"].note


FAULTS = {
    "float image": ("gives_valid_samples", "float32"),
    "empty mask": ("gives_valid_samples", "empty"),
    "one stream for all": ("depends_on_the_index_alone", "depends on the other indices"),
    "one image for all": ("samples_differ", "all 4 images of 'plate/any' are the same"),
    "path in the model": ("same_seed_same_bytes", "wrote other model.txt"),
    "learns shade": ("learns_without_sampling_params", "depends on shade"),
    "ignores its streams": (
        "another_seed_differs",
        "though ctx was asked for the random streams sample, shared",
    ),
    "global randomness": ("leaves_global_randomness", "the global random state of numpy changed"),
    "makes anything": ("yields_what_it_says", "is not refused"),
    "undeclared depth": ("yields_what_it_says", "does not say depth"),
    "changes all pixels": ("changes_the_mask_alone", "differs from its base"),
    "keeps the model in memory": ("works_in_a_fresh_process", "in sample: KeyError: 'shade'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_by_the_check_for_it(tmp_path: Path, plugin_class, fault: str) -> None:
    trial = GeneratorTrial(plugin_class("random_squares"), tmp_path, overrides={"fault": fault})
    name, sentence = FAULTS[fault]
    [result] = trial.results([check for check in CHECKS if check.__name__ == name])
    assert result.status == "failed"
    assert sentence in result.note
    assert "\n" not in result.note


def test_an_error_of_the_generator_is_reported_with_its_file_and_line(
    tmp_path: Path, plugin_class, line_of_the_crash
) -> None:
    trial = GeneratorTrial(plugin_class("random_squares"), tmp_path, overrides={"fault": "crashes"})
    notes = {result.note for result in run_checks(trial) if result.status == "failed"}
    assert f"{line_of_the_crash('random_squares')}, in sample: KeyError: 'x'" in notes


def test_a_generator_that_misses_weights_is_skipped_with_the_reason(tmp_path: Path) -> None:
    results = run_checks(GeneratorTrial(Perlin, tmp_path, overrides={"textures": "dtd"}))
    assert {result.status for result in results} == {"skipped"}
    assert all("dtd" in result.note for result in results)


def test_a_heavy_import_is_reported(tmp_path: Path, plugin_class) -> None:
    trial = GeneratorTrial(plugin_class("heavy_import"), tmp_path)
    [result] = trial.results([works_in_a_fresh_process])
    assert result.status == "failed"
    assert "loads matplotlib; import" in result.note
