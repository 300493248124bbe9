"""The baseline file: read back as written, small diffs, history kept, damage told in a sentence."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.gate.baseline_file import parse, render
from bench.gate.rules import Rule
from bench.gate.update import updated

STOCHASTIC = Rule(rule="stochastic", tolerance=0.005, why="half a point")


def rows(values, by_seed):
    return [
        row
        for category in ("chip", "weave")
        for metric in ("ap", "iou")
        for row in by_seed(values, category=category, metric=metric)
    ]


def later(baseline, run, reason="better training", **more):
    return updated(baseline, run, {}, reason=reason, date="2026-12-01", **more)


def test_a_file_is_read_back_as_it_was_written(run_from, by_seed, baseline_of) -> None:
    baseline = baseline_of(run_from(*rows([0.1, 1 / 3], by_seed)), STOCHASTIC)
    moved = later(baseline, run_from(*rows([0.2, 2 / 3, 1e-17], by_seed)))
    assert parse(render(moved), "b") == moved
    assert render(parse(render(moved), "b")) == render(moved)


def test_any_name_and_value_is_read_back(run_from, baseline_of) -> None:
    @given(st.text(min_size=1), st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False))
    def read_back(category: str, defect: str, value: float) -> None:
        row = {"category": category, "defect": defect, "value": value}
        baseline = baseline_of(run_from(row), STOCHASTIC)
        assert parse(render(baseline), "b") == baseline

    read_back()


def test_one_moved_metric_is_one_line_beside_the_update(run_from, by_seed, baseline_of) -> None:
    unmoved = rows([0.5, 0.6, 0.7], by_seed)
    baseline = baseline_of(run_from(*unmoved), STOCHASTIC)
    moved = [
        {**row, "value": 0.4} if row["category"] + row["metric"] == "weaveap" else row for row in unmoved
    ]
    after = later(baseline, run_from(*moved))
    lines = list(difflib.unified_diff(render(baseline).split("\n"), render(after).split("\n"), n=0))
    removed = [line for line in lines if line.startswith("-") and not line.startswith("---")]
    assert len(removed) == 1 and removed[0].startswith('-"pixel.ap"')
    assert sum(line.startswith("+[[updates]]") for line in lines) == 1


def test_an_update_keeps_reasons_values_and_environments(run_from, by_seed, baseline_of) -> None:
    baseline = baseline_of(run_from(*by_seed([0.1, 0.2])), STOCHASTIC)
    newer = {**run_from({}).environment, "python": "3.13.0"}
    after = later(baseline, run_from(*by_seed([0.3, 0.4]), environment=newer))
    assert [update.reason for update in after.updates] == ["better training", "first"]
    (entry,) = after.entries.values()
    assert entry.past == ((1, (0.1, 0.2)),)
    assert after.environment(2)["python"] == "3.13.0" and after.environment(1)["python"] == "3.11.7"


def test_values_of_another_data_set_are_no_history(run_from, by_seed, baseline_of) -> None:
    baseline = baseline_of(run_from(*by_seed([0.1, 0.2])), STOCHASTIC)
    (entry,) = later(baseline, run_from(*by_seed([0.3, 0.4], dataset_fingerprint="e" * 64))).entries.values()
    assert entry.past == ()


def test_history_is_as_long_as_the_policy_says(run_from, by_seed, baseline_of) -> None:
    baseline = baseline_of(run_from(*by_seed([0.0, 0.1])), STOCHASTIC)
    for step in range(1, 30):
        baseline = later(baseline, run_from(*by_seed([step, step + 0.1])))
    (entry,) = baseline.entries.values()
    assert len(entry.past) == baseline.policy.history == 20
    assert len(baseline.updates) == 30


def test_rules_and_policy_written_by_hand_survive_an_update(run_from, by_seed, baseline_of) -> None:
    text = render(baseline_of(run_from(*by_seed([0.1, 0.2])), STOCHASTIC))
    text = text.replace("alpha = 0.002", "alpha = 0.01").replace('"half a point"', '"mine"')
    after = later(parse(text, "b"), run_from(*by_seed([0.3, 0.4])))
    assert after.policy.alpha == 0.01 and after.rules[0].why == "mine"


@pytest.mark.parametrize("reason", ["", "  "])
def test_no_update_without_a_reason(run_from, baseline_of, reason) -> None:
    run = run_from({"value": 0.5})
    with pytest.raises(BenchError, match="needs a reason"):
        later(baseline_of(run, STOCHASTIC), run, reason)


def test_a_failed_cell_cannot_become_a_baseline(run_from) -> None:
    run = run_from({"value": 0.5}, {"metric": "iou", "status": "failed", "note": "no convergence"})
    with pytest.raises(BenchError, match=r"pixel\.iou among them: no convergence"):
        updated(None, run, {}, reason="first", date="2026-11-22")


def test_a_run_that_did_not_end_cannot_become_a_baseline(run_from) -> None:
    with pytest.raises(BenchError, match="3 results of the run are not there yet"):
        updated(None, run_from({"value": 0.5}, unfinished=3), {}, reason="first", date="2026-11-22")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: "format = [", "not valid TOML"),
        (lambda text: text.replace("format = 1", "format = 9"), "has format 9"),
        (lambda text: text.replace("alpha = 0.002", "alpha = 2.0"), "policy|alpha"),
        (lambda text: text.replace('rule = "stochastic"', 'rule = "lenient"'), "rule"),
        (lambda text: text.replace("values = [0.5", 'values = ["x"'), "damaged"),
        (lambda text: text.replace("seeds = [0]", "seeds = [0, 1]"), "damaged"),
        (lambda text: text.replace('category = "chip"\n', ""), "damaged"),
        (lambda text: text.replace("update = 1", "update = 7"), "damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(run_from, baseline_of, damage, told) -> None:
    text = render(baseline_of(run_from({"value": 0.5}), STOCHASTIC))
    assert damage(text) != text
    with pytest.raises(BenchError, match=told) as error:
        parse(damage(text), "tests/base.toml")
    assert "tests/base.toml" in str(error.value) and "\n" not in str(error.value)
