"""`bench published list | show | audit`."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

Bench = Callable[..., Any]


def test_list_names_every_table(bench: Bench) -> None:
    said = bench("published", "list")
    assert said.code == 0
    listed = json.loads(bench("published", "list", "--json").out)
    assert said.out.count("\n  table ") == sum(len(paper["tables"]) for paper in listed)
    values = {paper["paper"]: [table["values"] for table in paper["tables"]] for paper in listed}
    assert (len(values["anomalyhybrid"]), sum(values["anomalyhybrid"])) == (7, 903)
    assert (len(values["seas"]), sum(values["seas"])) == (28, 2058)


def test_show_prints_a_table_as_it_stands_and_what_is_known_of_its_protocol(bench: Bench) -> None:
    said = bench("published", "show", "seas", "26")
    (mean,) = [line for line in said.out.splitlines() if line.split()[:2] == ["mean", "98.01"]]
    assert mean.split()[1:] == ["98.01", "77.77", "72.81", "57.62"]
    assert "selection: fixed-epoch" in said.out
    assert "dialect: per-image-oracle-truncate for iou" in said.out
    assert "note: LFD's released code trains on the real first third too" in said.out


def test_show_as_json_has_every_value_with_its_facts(bench: Bench) -> None:
    values = json.loads(bench("published", "show", "anomalyhybrid", "--json").out)
    assert len(values) == 903
    assert values[0]["facts"]["resolution"] == "unknown"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "sea"), "unknown paper 'sea'; did you mean 'seas'?"),
        (("show", "seas", "99"), "unknown table '99' of 'seas'"),
        (("audit", "nothing"), "unknown paper 'nothing'"),
        (("disagreements", "D99"), "unknown disagreement 'D99'; they are numbered D1 to D35"),
    ],
)
def test_an_unknown_name_is_refused_in_one_line(
    refused: Callable[..., str], words: tuple[str, ...], told: str
) -> None:
    assert told in refused("published", *words)


def test_audit_tells_people_what_contradicts_what_and_perhaps_why(bench: Bench) -> None:
    said = bench("published", "audit", "anomalyhybrid")
    assert said.code == 0
    assert re.search(
        r"^7 means that are not the means of their rows \(\d{3,} tested\)$", said.out, re.MULTILINE
    )
    assert "pixel AP: the mean of its 15 rows is 49.65, printed is 48.4" in said.out
    assert "perhaps: it is the mean of the rows without bottle" in said.out
    assert "beside F1-max 6.4 pixel AP lies in 0.2 to 7.2, whatever the ranking; printed is 7.8" in said.out
    assert "more; --all shows them" in said.out
    assert "98.09 in SeaS, Table 8; 98.01 in SeaS, Table 26" in bench("published", "audit", "seas").out


def test_what_a_number_in_a_note_means_stands_below_it_and_can_be_asked(bench: Bench) -> None:
    assert "      D35: Whether real defects stand beside" in bench("published", "show", "seas", "26").out
    assert "      D19: Which checkpoint is scored" in bench("published", "audit").out
    assert bench("published", "disagreements", "31").out.startswith("D31: The groups of IC-LPIPS")
    entries = json.loads(bench("published", "disagreements", "--json").out)
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))


def test_audit_of_one_paper_leaves_the_other_out(bench: Bench) -> None:
    outcomes = json.loads(bench("published", "audit", "seas", "--json").out)
    tables = {table for outcome in outcomes for each in outcome["findings"] for table in each["tables"]}
    assert all(
        any("SeaS" in table for table in each["tables"]) for out in outcomes for each in out["findings"]
    )
    assert "AnomalyHybrid, Table 2" not in tables


def test_each_command_explains_itself(bench: Bench) -> None:
    for words in (
        ("published",),
        ("published", "list"),
        ("published", "show"),
        ("published", "audit"),
        ("published", "disagreements"),
        ("compare",),
    ):
        said = bench(*words, "--help")
        assert said.code == 0
        assert f"Usage: bench {' '.join(words)} " in said.out
