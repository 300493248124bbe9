"""AnomalyHybrid passes the suite also with other options than its own."""

from pathlib import Path

import pytest

from bench.conformance.generator import CHECKS, GeneratorTrial, run_checks
from generators.anomalyhybrid import AnomalyHybrid

KEEPS_BASES = {"fusion": "region", "target": "normal"}
KEY = ("gives_valid_samples", "depends_on_the_index_alone", "yields_what_it_says", "changes_the_mask_alone")


@pytest.fixture(scope="module")
def keeping_bases(tmp_path_factory: pytest.TempPathFactory) -> GeneratorTrial:
    return GeneratorTrial(AnomalyHybrid, tmp_path_factory.mktemp("base"), overrides=KEEPS_BASES, outside=8)


@pytest.mark.parametrize("check", [check for check in CHECKS if check.__name__ in KEY])
def test_it_conforms_where_it_keeps_bases(keeping_bases: GeneratorTrial, check) -> None:
    check(keeping_bases)


@pytest.mark.full
@pytest.mark.parametrize("options", [{"colour": "reference"}, {"anomalies": "mixed"}, {"decoders": "ahd"}])
def test_it_conforms_with_other_options(tmp_path: Path, options: dict[str, str]) -> None:
    results = run_checks(GeneratorTrial(AnomalyHybrid, tmp_path, overrides=options, outside=None))
    assert [result for result in results if result.status != "ok"] == []
