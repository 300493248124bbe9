"""The main job in Python: the records of `bench.run` and `bench.score` are those of the command line."""

import doctest

import pandas as pd
import pytest

import bench
from bench.methods.samples import extract
from bench.results.sample_files import sample_files

pytestmark = pytest.mark.xdist_group("main job")
MAIN_JOB = {"scale": "smoke", "categories": ["chip", "weave"]}


def test_the_example_of_its_docstring_is_true(ran, monkeypatch):
    monkeypatch.chdir(ran.folder)
    (example,) = doctest.DocTestFinder().find(bench.run, "bench.run", globs={})
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.attempted >= 5
    assert result.failed == 0


def test_run_and_load_give_the_records_of_the_command_line(ran):
    ran.main_job()
    result = bench.run("mvtec_supervised", store=ran.store, **MAIN_JOB)
    assert (result.state, result.ran, result.failed) == ("done", 0, {})
    assert result.page == ran.store / "report" / "index.html"
    exported = pd.DataFrame(ran.records())
    ours = result.records()
    assert len(ours) == len(exported)
    assert ours["task"].tolist() == exported["task"].tolist()
    pd.testing.assert_series_equal(ours["value"], exported["value"], check_exact=True, check_dtype=False)


def test_score_gives_what_the_protocol_gave(ran, tmp_path):
    run = bench.run("mvtec_supervised", store=ran.store, **MAIN_JOB)
    folder = tmp_path / "folder"
    extract(sample_files(run.plan, run.store, "crop_paste", 0), folder)
    (data,) = (ran.store / "data").glob("*/sample")
    result = bench.score(folder, against=data, resolution=64, store=ran.store)
    assert result.ok
    ours = values(result.records())
    theirs = values(run.records().query("generator == 'crop_paste'"))
    shared = {key: value for key, value in theirs.items() if "mask" not in key[-1]}
    assert shared
    assert {key: value for key, value in ours.items() if "mask" not in key[-1]} == shared


def values(records: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """Values of generation metrics by category, defect and metric."""
    rows = records[(records["level"] == "generation") & records["value"].notna()]
    return {(row["category"], row["defect"], row["metric"]): row["value"] for _, row in rows.iterrows()}
