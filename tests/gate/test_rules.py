"""The three rules, on measurements made by hand."""

from dataclasses import replace

import pytest

from bench.errors import BenchError
from bench.gate.judge import judge
from bench.gate.rules import Rule
from bench.gate.verdict import Exit

OTHER = {"python": "3.12.1", "machine": "x86_64", "cpu": "one", "gpus": [], "torch": {"threads a task": 1}}
EXACT = Rule(rule="exact")
DETERMINISTIC = Rule(rule="deterministic", tolerance=0.01)
STOCHASTIC = Rule(rule="stochastic", tolerance=0.005)
STEADY = (0.800, 0.803, 0.797)


def only(judgment):
    (verdict,) = judgment.verdicts
    return verdict


@pytest.fixture
def verdict_of(run_from, by_seed, baseline_of):
    """The verdict on one metric that was `before` and is `after`, under a rule."""

    def verdict_of(rule, before, after, fields=None, **run):
        baseline = baseline_of(run_from(*by_seed(before)), rule)
        return only(judge(baseline, run_from(*by_seed(after, **(fields or {})), **run)))

    return verdict_of


@pytest.mark.parametrize("after", [0.5, 0.5 + 1e-12])
def test_an_exact_metric_may_differ_by_the_order_of_a_sum(verdict_of, after) -> None:
    assert verdict_of(EXACT, [0.5], [after], environment=OTHER).status in ("same", "within")


def test_an_exact_metric_that_moved_by_more_is_a_loss_in_any_environment(verdict_of) -> None:
    assert verdict_of(EXACT, [0.5], [0.5 - 1e-6], environment=OTHER).status == "loss"


def test_a_deterministic_metric_must_keep_its_bits_in_one_environment(verdict_of) -> None:
    assert verdict_of(DETERMINISTIC, [0.5], [0.5]).status == "same"
    assert verdict_of(DETERMINISTIC, [0.5], [0.5 - 1e-15]).status == "loss"
    assert verdict_of(DETERMINISTIC, [0.5], [0.5 + 1e-15]).status == "gain"


def test_a_processor_of_the_same_name_with_other_instructions_is_another_environment(
    verdict_of, run_from
) -> None:
    older = {**run_from({}).environment, "instructions": ["avx2"]}
    assert verdict_of(DETERMINISTIC, [0.5], [0.491], environment=older).status == "within"


def test_across_environments_the_stated_tolerance_holds(verdict_of) -> None:
    assert verdict_of(DETERMINISTIC, [0.5], [0.491], environment=OTHER).status == "within"
    beyond = verdict_of(DETERMINISTIC, [0.5], [0.489], environment=OTHER)
    assert beyond.status == "loss" and beyond.allowed == pytest.approx(0.01)
    assert {cause.kind for cause in beyond.causes} == {"environment"}


def test_parts_from_several_environments_are_held_to_the_tolerance(verdict_of) -> None:
    assert verdict_of(DETERMINISTIC, [0.5], [0.495], mixed=True).status == "within"


def test_the_worst_seed_decides_for_a_deterministic_metric(verdict_of) -> None:
    assert verdict_of(DETERMINISTIC, [0.5, 0.6], [0.5, 0.5]).change == pytest.approx(-0.1)


def test_a_seed_of_the_baseline_that_was_not_run_cannot_be_told(verdict_of) -> None:
    found = verdict_of(DETERMINISTIC, [0.5, 0.6], [0.5])
    assert found.status == "unclear" and "seed 1" in found.reason
    assert next(cause.kind for cause in found.causes) == "seeds"


def test_a_stochastic_metric_may_move_as_chance_does(verdict_of) -> None:
    assert verdict_of(STOCHASTIC, STEADY, [0.799, 0.795, 0.802]).status == "within"


def test_a_stochastic_metric_that_fell_beyond_chance_is_a_loss(verdict_of) -> None:
    found = verdict_of(STOCHASTIC, STEADY, [0.700, 0.703, 0.697])
    assert found.status == "loss" and found.p < 0.002 and found.change == pytest.approx(-0.1)


def test_a_gain_is_as_loud_as_a_loss(verdict_of, run_from, by_seed, baseline_of) -> None:
    assert verdict_of(STOCHASTIC, STEADY, [0.900, 0.903, 0.897]).status == "gain"
    baseline = baseline_of(run_from(*by_seed(STEADY)), STOCHASTIC)
    assert judge(baseline, run_from(*by_seed([0.900, 0.903, 0.897]))).exit == Exit.REGRESSION


def test_a_lower_value_of_a_distance_is_a_gain(verdict_of) -> None:
    assert verdict_of(DETERMINISTIC, [0.5], [0.4]).status == "loss"
    assert verdict_of(DETERMINISTIC, [0.5], [0.4], {"direction": "lower"}).status == "gain"


@pytest.mark.parametrize(("before", "after", "side"), [(2, 3, "the baseline"), (3, 2, "the run")])
def test_fewer_seeds_than_three_cannot_be_told(verdict_of, before, after, side) -> None:
    found = verdict_of(STOCHASTIC, STEADY[:before], STEADY[:after])
    assert found.status == "unclear" and found.reason.startswith(f"{side} has 2 seeds")


def test_the_family_makes_each_test_stricter(run_from, by_seed, baseline_of) -> None:
    alone, many = by_seed(STEADY), [
        row for index in range(60) for row in by_seed(STEADY, category=f"c{index}")
    ]  # fmt: skip
    fallen = (0.775, 0.778, 0.772)
    single = judge(baseline_of(run_from(*alone), STOCHASTIC), run_from(*by_seed(fallen)))
    assert only(single).p < 0.05
    moved = run_from(*by_seed(fallen, category="c0"), *many[3:])
    first = judge(baseline_of(run_from(*many), STOCHASTIC), moved).verdicts[0]
    assert first.cell.startswith("c0") and first.p == pytest.approx(min(1, 60 * only(single).p))


def test_a_failed_cell_fails_with_its_reason(run_from, baseline_of) -> None:
    baseline = baseline_of(run_from({"value": 0.5}), DETERMINISTIC)
    judgment = judge(baseline, run_from({"status": "failed", "note": "no convergence"}))
    assert judgment.exit == Exit.REGRESSION
    assert only(judgment).status == "failed" and "no convergence" in only(judgment).reason


@pytest.mark.parametrize("status", ["skipped", "undefined"])
def test_a_cell_that_lost_its_value_cannot_be_told(run_from, baseline_of, status) -> None:
    baseline = baseline_of(run_from({"value": 0.5}), DETERMINISTIC)
    judgment = judge(baseline, run_from({"status": status, "note": "one class only"}))
    assert judgment.exit == Exit.CANNOT_TELL
    assert only(judgment).status == "missing" and "one class only" in only(judgment).reason


def test_a_missing_cell_cannot_be_told(run_from, baseline_of) -> None:
    baseline = baseline_of(run_from({"value": 0.5}, {"value": 0.6, "metric": "iou"}), DETERMINISTIC)
    judgment = judge(baseline, run_from({"value": 0.5}))
    assert judgment.exit == Exit.CANNOT_TELL
    assert [verdict.measure for verdict in judgment.of("missing")] == ["pixel.iou"]


def test_a_failed_seed_is_not_hidden_by_those_that_did_not_fail(run_from, by_seed, baseline_of) -> None:
    baseline = baseline_of(run_from(*by_seed([*STEADY, 0.8])), STOCHASTIC)
    rows = by_seed([*STEADY, 0.8])
    rows[3] = {"seed": 3, "status": "failed", "note": "killed"}
    assert only(judge(baseline, run_from(*rows))).status == "failed"


def test_a_gate_that_looks_at_nothing_cannot_tell(run_from, baseline_of) -> None:
    baseline = baseline_of(run_from({"value": 0.5}), Rule(rule="ignored"))
    assert judge(baseline, run_from({"value": 0.1})).exit == Exit.CANNOT_TELL


def test_a_new_metric_is_told_and_does_not_fail(run_from, baseline_of) -> None:
    baseline = baseline_of(run_from({"value": 0.5}), DETERMINISTIC)
    judgment = judge(baseline, run_from({"value": 0.5}, {"value": 0.6, "metric": "iou"}))
    assert judgment.exit == Exit.PASS
    assert [verdict.measure for verdict in judgment.of("new")] == ["pixel.iou"]


def test_the_first_rule_that_covers_a_metric_counts(run_from, baseline_of) -> None:
    rules = (Rule(rule="ignored", metric="!ap"), Rule(rule="exact", level="pix*"))
    baseline = baseline_of(run_from({"value": 0.5}, {"value": 0.6, "metric": "iou"}), *rules)
    judgment = judge(baseline, run_from({"value": 0.4}, {"value": 0.1, "metric": "iou"}))
    assert {verdict.measure: verdict.status for verdict in judgment.verdicts} == {
        "pixel.ap": "loss",
        "pixel.iou": "ignored",
    }


def test_a_metric_without_a_rule_is_an_error(run_from, baseline_of) -> None:
    baseline = baseline_of(run_from({"value": 0.5}), Rule(rule="exact", metric="iou"))
    with pytest.raises(BenchError, match="no rule of the baseline covers"):
        judge(baseline, run_from({"value": 0.5}))


@pytest.mark.parametrize(
    ("fields", "kind", "told"),
    [
        ({"dataset_fingerprint": "e" * 64}, "data", "dataset fingerprint is eeeeeeeeeeee…"),
        ({"split": "random@1"}, "split", "split is random@1, was first-third@1"),
        ({"weights_sha256": "d" * 64}, "weights", "weights sha256 is dddddddddddd…, was none"),
        ({"metric_version": 2}, "version", "metric version is 2, was 0"),
        ({"resolution": 128}, "protocol", "resolution is 128, was 0"),
    ],
)
def test_what_may_not_be_compared_says_why(verdict_of, fields, kind, told) -> None:
    found = verdict_of(DETERMINISTIC, [0.5], [0.5], fields)
    assert found.status == "incomparable" and told in found.reason
    assert found.causes[0].kind == kind


def test_another_version_of_a_method_is_compared_and_named(verdict_of) -> None:
    found = verdict_of(DETERMINISTIC, [0.5], [0.4], {"detector_version": 2})
    assert found.status == "loss"
    assert ("version", "unet has version 2, was 1") in {(c.kind, c.sentence) for c in found.causes}


def test_another_parameter_is_named_with_both_values(verdict_of) -> None:
    slower = {"unet": {"id": "unet@1", "parameters": {"learning_rate": 1e-06}}}
    found = verdict_of(DETERMINISTIC, [0.5], [0.4], {"detector_params": "other"}, methods=slower)
    assert [cause.sentence for cause in found.causes] == ["unet.learning_rate is 1e-06, was 0.001"]


def test_another_package_is_named_with_both_versions(verdict_of, run_from) -> None:
    newer = replace(run_from({"value": 0.4})).environment | {"packages": {"numpy": "2.4.6", "torch": "3.0"}}
    found = verdict_of(DETERMINISTIC, [0.5], [0.4], environment=newer)
    assert ("environment", "torch is 3.0, was 2.15.0") in {(c.kind, c.sentence) for c in found.causes}


def test_other_source_under_the_same_version_is_named(verdict_of) -> None:
    found = verdict_of(DETERMINISTIC, [0.5], [0.4], commit="def")
    assert [cause.kind for cause in found.causes] == ["code"]


def test_where_nothing_recorded_differs_the_result_is_called_not_reproducible(verdict_of) -> None:
    found = verdict_of(DETERMINISTIC, [0.5], [0.4])
    assert [cause.kind for cause in found.causes] == ["unknown"]


def test_the_rules_of_a_new_baseline_follow_from_the_run(run_from, by_seed, baseline_of) -> None:
    def kinds(run):
        return [rule.rule for rule in baseline_of(run).rules]

    assert "stochastic" not in kinds(run_from(*by_seed([0.5])))
    assert "deterministic" not in kinds(run_from(*by_seed(STEADY)))
    assert "deterministic" not in kinds(run_from(*by_seed([0.5]), on_gpu=True))
    assert kinds(run_from(*by_seed([0.5]), ingested=frozenset({"unet"})))[0] == "exact"


def test_a_metric_that_changed_over_the_same_bytes_is_named_itself(verdict_of, run_from, baseline_of) -> None:
    scored = {"task": "scored"}
    baseline = baseline_of(run_from({"value": 0.5, **scored}), DETERMINISTIC)
    found = only(judge(baseline, run_from({"value": 0.4, **scored}, commit="def")))
    assert ("metric", "pixel.ap changed: the same bytes were scored") in {
        (cause.kind, cause.sentence) for cause in found.causes
    }
    others = only(judge(baseline, run_from({"value": 0.4, "task": "other"}))).causes
    assert "metric" not in {cause.kind for cause in others}
