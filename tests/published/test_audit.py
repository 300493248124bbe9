"""The audit finds contradictions, those of the two papers among them, and leaves rounding alone."""

from collections.abc import Callable

import pytest

from bench.published import Paper
from bench.published.audit import RULES, Contradiction, RuleOutcome, audit

Small = Callable[..., Paper]


def found(papers: tuple[Paper, ...] | list[Paper], rule: str) -> tuple[Contradiction, ...]:
    return next(outcome for outcome in audit(papers) if outcome.rule == rule).findings


@pytest.fixture(scope="module")
def audited(two_papers: tuple[Paper, ...]) -> dict[str, RuleOutcome]:
    return {outcome.rule: outcome for outcome in audit(two_papers)}


@pytest.fixture(scope="module")
def outcomes(audited: dict[str, RuleOutcome]) -> dict[str, tuple[Contradiction, ...]]:
    return {rule: outcome.findings for rule, outcome in audited.items()}


def test_anomalyhybrid_table_2_has_seven_means_that_are_not_means_and_leave_out_one_row(
    outcomes: dict[str, tuple[Contradiction, ...]],
) -> None:
    columns = [(finding.generator, finding.level, finding.metric) for finding in outcomes["mean"]]
    assert columns == [
        *(("crop_paste", "pixel", metric) for metric in ("auroc", "ap", "f1_max")),
        *(("dfmgan", "pixel", metric) for metric in ("auroc", "ap", "f1_max")),
        ("anomalyhybrid", "pixel", "ap"),
    ]
    assert {finding.tables for finding in outcomes["mean"]} == {("AnomalyHybrid, Table 2",)}
    assert all("without bottle in all 7" in finding.explanation for finding in outcomes["mean"])
    assert outcomes["mean"][1].expected == "49.65"


def test_seas_table_8_contradicts_table_26_in_all_four_metrics(
    outcomes: dict[str, tuple[Contradiction, ...]],
) -> None:
    odd = [finding for finding in outcomes["sibling"] if "SeaS, Table 8" in finding.tables]
    assert [finding.metric for finding in odd] == ["auroc", "ap", "f1_max", "iou"]
    assert all(finding.tables == ("SeaS, Table 8", "SeaS, Table 26") for finding in odd)
    assert all("D19" in finding.explanation for finding in odd)


def test_seas_table_4_averages_other_numbers_than_tables_22_to_27(
    outcomes: dict[str, tuple[Contradiction, ...]],
) -> None:
    odd = [finding for finding in outcomes["average"] if finding.generator == "seas"]
    assert {(finding.level, finding.metric) for finding in odd} >= {
        ("image", "auroc"), ("image", "ap"), ("image", "f1_max"), ("pixel", "ap"), ("pixel", "iou")
    }  # fmt: skip
    assert all(finding.tables[0] == "SeaS, Table 4" for finding in odd)
    pixel = next(finding for finding in odd if (finding.level, finding.metric) == ("pixel", "ap"))
    assert "it fits with 77.15 of SeaS, Table 8" in pixel.explanation


def test_a_pair_of_ap_and_f1_that_no_ranking_gives_is_found_with_the_dialect(
    outcomes: dict[str, tuple[Contradiction, ...]],
) -> None:
    (pair,) = outcomes["ap and f1"]
    assert (pair.category, pair.generator, pair.printed) == ("screw", "anomalyhybrid", "7.8")
    assert "grid21" in pair.explanation
    assert "trapezoids" in pair.explanation


def test_seas_iou_follows_another_rule_in_every_category_table(
    outcomes: dict[str, tuple[Contradiction, ...]],
) -> None:
    for number in (22, 24, 26):
        odd = [finding for finding in outcomes["iou and f1"] if finding.tables == (f"SeaS, Table {number}",)]
        assert len([finding for finding in odd if finding.category != "mean"]) >= 44
        assert any("no threshold for all pixels" in finding.explanation for finding in odd)


def test_rows_of_anomalyhybrid_table_4_are_the_means_of_three_other_detectors(
    outcomes: dict[str, tuple[Contradiction, ...]],
) -> None:
    odd = [finding for finding in outcomes["same numbers"] if "SeaS, Table 4" in finding.tables]
    assert [finding.generator for finding in odd] == ["dfmgan", "anomalydiffusion"]
    assert all(finding.tables == ("AnomalyHybrid, Table 4", "SeaS, Table 4") for finding in odd)


def test_image_metrics_of_seas_can_be_counted_on_the_first_third_and_accuracies_of_anomalyhybrid_cannot(
    audited: dict[str, RuleOutcome],
) -> None:
    counts = audited["counts"]
    assert {"SeaS, Table 23", "SeaS, Table 25", "SeaS, Table 27"} <= set(counts.clean)
    accuracies = [
        finding
        for finding in counts.findings
        if finding.generator == "anomalyhybrid" and finding.metric == "accuracy"
    ]
    assert len(accuracies) >= 10
    assert counts.tested > 400


def test_harmonic_means_of_recalls_are_tested_and_hold(audited: dict[str, RuleOutcome]) -> None:
    assert (audited["harmonic"].tested, audited["harmonic"].findings) == (12, ())


def row(value: float, category: str = "a", metric: str = "ap", table: int = 1, **facts: str) -> str:
    generator, detector = facts.get("generator", "g"), facts.get("detector", "unet")
    return f"{table},d,{category},{generator},{detector},{facts.get('level', 'pixel')},{metric},{value},"


@pytest.mark.parametrize(("mean", "finds"), [(50.0, 0), (50.1, 0), (49.9, 0), (50.2, 1), (49.8, 1)])
def test_a_mean_may_be_off_by_the_rounding_of_rows_and_of_itself(
    small: Small, mean: float, finds: int
) -> None:
    paper = small([row(40.0, "a"), row(60.0, "b"), row(mean, "mean")])
    assert len(found([paper], "mean")) == finds


def test_an_average_over_detectors_is_taken_over_those_of_its_own_kind(small: Small) -> None:
    lines = [
        row(value, "mean", detector=name) for name, value in (("x", 40.0), ("y", 60.0), ("average", 50.0))
    ]
    lines += [row(10.0, "mean", detector="x[v]"), row(30.0, "mean", detector="y[v]")]
    lines.append(row(50.0, "mean", detector="average[v]"))
    (odd,) = found([small(lines)], "average")
    assert (odd.detector, odd.expected) == ("average[v]", "20.00")


def test_a_slip_of_digits_is_named_as_one(small: Small) -> None:
    lines = [
        row(value, "mean", detector=name) for name, value in (("x", 96.3), ("y", 96.7), ("average", 95.6))
    ]
    (odd,) = found([small(lines)], "average")
    assert "a slip of digits, 95.6 for 96.5" in odd.explanation


def test_one_quantity_in_two_tables_is_held_against_itself_with_the_digits_of_each(small: Small) -> None:
    coarse = '[[facts]]\nwhere = { table = "2" }\ndigits = 0'
    lines = [row(50.4, table=1), row(50.0, table=2), row(70.4, "b", table=1), row(71.0, "b", table=2)]
    (odd,) = found([small(lines, coarse)], "sibling")
    assert (odd.category, odd.tables) == ("b", ("Small, Table 1", "Small, Table 2"))


def test_what_differs_in_scope_or_variant_is_no_sibling(small: Small) -> None:
    scope = '[[facts]]\nwhere = { table = "2" }\nscope = "dataset"'
    lines = [row(50.0, table=1), row(70.0, table=2), row(60.0, table=1, generator="g[x]")]
    assert found([small(lines, scope)], "sibling") == ()


def test_a_row_under_two_names_is_found_and_a_chance_pair_is_not(small: Small) -> None:
    metrics = ("auroc", "ap", "f1_max", "iou")
    values = (90.1, 40.2, 45.3, 29.2)
    lines = [row(value, metric=name) for name, value in zip(metrics, values, strict=True)]
    lines += [row(value, metric=name, generator="h") for name, value in zip(metrics, values, strict=True)]
    lines += [row(value + 1, metric=name, generator="k") for name, value in zip(metrics, values, strict=True)]
    (odd,) = found([small(lines)], "same numbers")
    assert odd.sentence.startswith("4 of 4 numbers of g with unet are those of h with unet")


@pytest.mark.parametrize(
    ("f1", "ap", "why"), [(6.4, 7.8, "grid21"), (90.0, 50.0, "binarised"), (50.0, 40.0, None)]
)
def test_ap_beside_f1_names_the_side_that_is_off(small: Small, f1: float, ap: float, why: str | None) -> None:
    odd = found([small([row(f1, metric="f1_max"), row(ap)])], "ap and f1")
    assert [why in finding.explanation for finding in odd if why] == [True] * len(odd)
    assert len(odd) == (why is not None)


@pytest.mark.parametrize(
    ("category", "iou", "finds"),
    [("a", 33.3, 0), ("a", 33.5, 1), ("a", 33.0, 1), ("mean", 40.0, 0), ("mean", 51.0, 1), ("mean", 33.0, 1)],
)
def test_iou_beside_f1_is_exact_for_a_category_and_a_range_for_a_mean(
    small: Small, category: str, iou: float, finds: int
) -> None:
    paper = small([row(50.0, category, "f1_max"), row(iou, category, "iou")])
    assert len(found([paper], "iou and f1")) == finds


def test_every_rule_says_what_it_finds_in_words() -> None:
    assert all(title and not title.endswith(".") for title, _ in RULES.values())
