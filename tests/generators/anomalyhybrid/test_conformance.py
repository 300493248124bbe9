"""Both adapters pass the suite: as they are, keeping bases, and in the paper's mode of sampling."""

from pathlib import Path

import pytest

from bench.conformance.generator import CHECKS, Trial, check_light_import, run_checks
from generators.anomalyhybrid import AnomalyHybrid, AnomalyHybridStar

KEEPS = {"fusion": "region", "target": "normal"}


NAMED = {check.__name__: check for check in CHECKS}
KEY = ("gives_valid_samples", "depends_on_the_index_alone", "yields_what_it_says", "changes_the_mask_alone")


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    folder = tmp_path_factory.mktemp
    return {
        "as it is": Trial(AnomalyHybrid, folder("rgb"), outside=None),
        "keeping bases": Trial(AnomalyHybrid, folder("base"), overrides=KEEPS, outside=8),
        "star": Trial(AnomalyHybridStar, folder("star"), outside=None),
    }


@pytest.mark.parametrize("check", NAMED)
def test_it_conforms(trials: dict[str, Trial], check: str) -> None:
    NAMED[check](trials["as it is"])


@pytest.mark.parametrize("check", KEY)
@pytest.mark.parametrize("which", ["keeping bases", "star"])
def test_its_variants_conform(trials: dict[str, Trial], which: str, check: str) -> None:
    NAMED[check](trials[which])


@pytest.mark.full
@pytest.mark.parametrize("options", [{"colour": "reference"}, {"anomalies": "mixed"}, {"decoders": "ahd"}])
def test_it_conforms_with_other_options(tmp_path: Path, options: dict[str, str]) -> None:
    results = run_checks(Trial(AnomalyHybrid, tmp_path, overrides=options, outside=None))
    assert [result for result in results if result.status != "ok"] == []


@pytest.mark.parametrize("adapter", [AnomalyHybrid, AnomalyHybridStar])
def test_it_imports_without_torch(adapter: type[AnomalyHybrid]) -> None:
    check_light_import(adapter.__module__)
