"""What people, machines and pull requests are told."""

import json
from xml.etree import ElementTree

import pytest

from bench.gate.json_junit import as_json, as_junit
from bench.gate.judge import judge
from bench.gate.rules import Rule
from bench.gate.summary import MOST_ROWS, as_markdown, as_text
from bench.gate.verdict import Judgment

ACCEPT = "bench gate --baseline b.toml --update --reason '...'"


@pytest.fixture
def judgment(run_from, baseline_of) -> Judgment:
    """One metric the same, one worse, one missing, one new."""
    names = ("ap", "auroc", "iou")
    baseline = baseline_of(
        run_from(*({"metric": name, "value": 0.5} for name in names)), Rule(rule="deterministic")
    )
    rows = [{"metric": "ap", "value": 0.5}, {"metric": "auroc", "value": 0.4}]
    return judge(baseline, run_from(*rows, {"metric": "f1_max", "value": 0.1}, commit="def"))


def test_the_table_says_what_moved_by_how_much_and_why(judgment) -> None:
    told = as_text(judgment, ACCEPT)
    assert told.startswith("bench gate FAIL: of 4 metrics 1 worse, 1 missing, 1 the same, 1 new\n")
    (loss,) = [line for line in told.split("\n") if "LOSS" in line]
    for part in ("chip, real, unet", "pixel.auroc", "0.5", "0.4", "-0.1", "equal bits"):
        assert part in loss
    assert "code: the source is at def, was at abc" in told
    assert ACCEPT in told


def test_a_pass_does_not_ask_for_an_update(run_from, baseline_of) -> None:
    run = run_from({"value": 0.5})
    told = as_text(judge(baseline_of(run, Rule(rule="exact")), run), ACCEPT)
    assert told == "bench gate pass: of 1 metrics 1 the same\n"


def test_json_holds_every_verdict_and_the_exit_code(judgment) -> None:
    told = json.loads(as_json(judgment))
    assert told["exit"] == 1
    assert {each["measure"]: each["status"] for each in told["metrics"]} == {
        "pixel.ap": "same",
        "pixel.auroc": "loss",
        "pixel.iou": "missing",
        "pixel.f1_max": "new",
    }
    assert told["causes"][0]["kind"] == "code"


def test_junit_counts_moved_as_failures_and_untold_as_errors(judgment) -> None:
    suite = ElementTree.fromstring(as_junit(judgment)).find("testsuite")
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    (failure,) = suite.iter("failure")
    assert failure.get("message").startswith("loss: ") and "was [0.5], is [0.4]" in failure.text


def test_markdown_is_a_table_with_a_row_for_each_metric_that_moved(judgment) -> None:
    told = as_markdown(judgment, ACCEPT)
    rows = [line for line in told.split("\n") if line.startswith(("| LOSS", "| MISSING"))]
    assert len(rows) == 2 and all(row.count("|") == rows[0].count("|") for row in rows)
    assert f"`{ACCEPT}`" in told


def test_names_cannot_break_out_of_markdown_or_xml(run_from, baseline_of) -> None:
    name = "a|b`<img src=x>\n\x00]("
    baseline = baseline_of(run_from({"category": name, "value": 0.5}), Rule(rule="exact"))
    judgment = judge(baseline, run_from({"category": name, "value": 0.4}))
    (row,) = [line for line in as_markdown(judgment, ACCEPT).split("\n") if line.startswith("| LOSS")]
    assert row.replace("\\|", "").count("|") == 8 and "\\<img" in row
    assert ElementTree.fromstring(as_junit(judgment)) is not None


def test_a_long_table_is_cut_and_says_so(run_from, baseline_of) -> None:
    def rows(value):
        return [{"category": f"c{index}", "value": value} for index in range(MOST_ROWS + 5)]

    judgment = judge(baseline_of(run_from(*rows(0.5)), Rule(rule="exact")), run_from(*rows(0.4)))
    told = as_text(judgment, ACCEPT)
    assert told.count("LOSS") == MOST_ROWS and "and 5 more" in told


def test_a_stochastic_gate_says_which_loss_it_would_see(run_from, by_seed, baseline_of) -> None:
    run = run_from(*by_seed([0.80, 0.81, 0.79]))
    assert "would show 9 times in 10" in as_text(
        judge(baseline_of(run, Rule(rule="stochastic")), run), ACCEPT
    )


def test_another_environment_is_told_even_where_nothing_moved(run_from, baseline_of) -> None:
    baseline = baseline_of(run_from({"value": 0.5}), Rule(rule="deterministic", tolerance=0.1))
    newer = {**run_from({}).environment, "python": "3.13.0"}
    told = as_text(judge(baseline, run_from({"value": 0.5}, environment=newer)), ACCEPT)
    assert "pass" in told and "this environment is not the baseline's" in told


def test_a_missing_cell_is_one_row_and_names_the_command(run_from, baseline_of) -> None:
    cell = [{"metric": name, "value": 0.5, "category": "weave"} for name in ("ap", "iou", "auroc")]
    baseline = baseline_of(run_from({"value": 0.5}, *cell), Rule(rule="exact"))
    judgment = judge(baseline, run_from({"value": 0.5}, command="bench run --categories chip"))
    told = as_text(judgment, ACCEPT)
    (row,) = [line for line in told.split("\n") if "MISSING" in line]
    assert "weave, real, unet" in row and "3 metrics" in row
    assert "the run was `bench run --categories chip`, that of the baseline `bench run` (3 metrics)" in told
