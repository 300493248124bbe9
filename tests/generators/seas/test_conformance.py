"""The adapter passes the suite of all generators, with a tiny model as its weights."""

import pytest

from bench.conformance.generator import CHECKS, GeneratorTrial, run_checks
from generators.seas import SeaS


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory, weights) -> GeneratorTrial:
    less = {"steps_per_type": 1, "mask_steps_per_type": 1, "sampling_steps": 3, "mask_steps": 1}
    folder = tmp_path_factory.mktemp("trial")
    trial = GeneratorTrial(SeaS, folder, overrides=less, weights=weights, outside=None)
    trial.split.categories.pop("weave")
    return trial


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_seas_conforms(trial: GeneratorTrial, check) -> None:
    check(trial)


def test_without_weights_every_check_is_skipped_with_the_reason(tmp_path) -> None:
    results = run_checks(GeneratorTrial(SeaS, tmp_path))
    assert {result.status for result in results} == {"skipped"}
    assert all("hf download CompVis/stable-diffusion-v1-4" in result.note for result in results)
