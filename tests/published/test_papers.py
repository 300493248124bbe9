"""The files of papers: every value is read, and a fault in a file is reported with its place and mend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.published import Paper, load_paper, papers, published_records
from bench.published.facts import REQUIRED
from bench.record.record import COMPARABILITY, UNKNOWN, UNKNOWN_COUNT, Record, comparability, why_incomparable

FOLDER = Path(__file__).parents[2] / "protocols" / "published"
LINE = "1,mvtec_ad,bottle,seas,unet,pixel,ap,50.0,"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_each_paper_parses_and_states_every_fact_of_every_value(path: Path) -> None:
    paper = load_paper(path)
    assert paper.values
    assert all(set(REQUIRED) <= set(value.facts) for value in paper.values)
    assert {value.row["table"] for value in paper.values} == set(paper.tables)


def test_every_csv_has_its_facts_beside_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.csv")} == {path.stem for path in FOLDER.glob("*.toml")}


def test_the_two_papers_bring_all_values_of_their_35_tables(two_papers: tuple[Paper, ...]) -> None:
    assert [paper.short for paper in two_papers] == ["AnomalyHybrid", "SeaS"]
    assert sum(len(paper.tables) for paper in two_papers) == 35
    assert sum(len(paper.values) for paper in two_papers) == 2961


def test_each_value_that_is_a_rate_lies_between_0_and_100(shelf: tuple[Paper, ...]) -> None:
    for paper in shelf:
        for value in paper.values:
            top = {"percent": 100.0, "fraction": 1.0}.get(value.facts["unit"])
            assert top is None or 0 <= value.printed <= top, (value.table, value.line)


def test_a_printed_number_keeps_the_digits_of_its_table(shelf: tuple[Paper, ...]) -> None:
    for paper in shelf:
        for value in paper.values:
            assert float(value.text) == value.printed, (value.table, value.line)


@pytest.mark.parametrize(
    ("lines", "rules", "words"),
    [
        ([LINE.replace("50.0", "5O.0")], "", "small.csv line 2: the value '5O.0' is not a number"),
        ([LINE.replace("50.0", "nan")], "", "line 2: the value 'nan' is not a number"),
        ([LINE, LINE.replace("50.0", "51.0")], "", "line 3 is the cell of line 2 again"),
        ([LINE.replace("bottle", "")], "", "line 2 has no category"),
        ([LINE + ",more"], "", "line 2 does not have 10 entries"),
        ([LINE], '[[facts]]\nwhere = { detector = "unt" }', "no row of the CSV has the detector 'unt'"),
        ([LINE], '[[facts]]\nwhere = { colour = "red" }', "'colour' is not a column of the CSV"),
        ([LINE], '[[facts]]\nspilt = "x"', "facts.1.spilt: extra inputs are not permitted"),
        ([LINE], '[[facts]]\nresolution = "large"', "facts.1.resolution"),
    ],
)
def test_a_fault_is_one_sentence_with_its_place(
    write_paper: Callable[..., Path], lines: list[str], rules: str, words: str
) -> None:
    path = write_paper(lines, rules)
    with pytest.raises(BenchError) as refused:
        load_paper(path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_fact_that_no_rule_states_is_asked_for(write_paper: Callable[..., Path], name: str) -> None:
    path = write_paper([LINE])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith(f"{name} =")))
    with pytest.raises(BenchError, match=f'states no {name} for line 2 .* {name} = "unknown"'):
        load_paper(path)


@pytest.mark.parametrize(
    ("tables", "words"),
    [('2 = { title = "?" }', "no title for table 1"), ('1 = { title = "" }\n2 = { title = "" }', "table 2")],
)
def test_tables_and_titles_belong_together(write_paper: Callable[..., Path], tables: str, words: str) -> None:
    path = write_paper([LINE])
    path.write_text(path.read_text().replace('1 = { title = "Table 1" }', tables))
    with pytest.raises(BenchError, match=words):
        load_paper(path)


def test_a_csv_that_is_not_there_is_named(write_paper: Callable[..., Path]) -> None:
    path = write_paper([LINE])
    path.with_suffix(".csv").unlink()
    with pytest.raises(BenchError, match=r"small\.csv cannot be read"):
        load_paper(path)


def test_a_later_rule_overwrites_facts_and_adds_its_caveat(small: Callable[..., Paper]) -> None:
    rules = """
[[facts]]
where = { metric = "ap" }
selection = "test-oracle"
caveat = "one"
[[facts]]
where = { metric = ["ap", "iou"] }
dialect = "grid21"
caveat = "two"
"""
    ap, iou = small([LINE, LINE.replace("ap", "iou")], rules).values
    assert (ap.facts["selection"], ap.facts["dialect"], ap.caveats) == (
        "test-oracle",
        "grid21",
        ("one", "two"),
    )
    assert (iou.facts["selection"], iou.caveats) == ("last", ("two",))


def test_a_printed_value_is_a_record_with_every_field(small: Callable[..., Paper]) -> None:
    (record,) = published_records("p", 3, [small([LINE.replace("seas", "seas[no-na]")])])
    assert (record.kind, record.protocol, record.protocol_version) == ("published", "p", 3)
    assert (record.value, record.unit, record.status) == (0.5, "fraction", "ok")
    assert (record.generator, record.generator_variant, record.detector) == ("seas", "no-na", "unet")
    assert record.source == "Small, Table 1"
    assert published_records("another", 1, [small([LINE])]) == ()


def test_unknown_counts_are_unknown_and_not_a_number(small: Callable[..., Paper]) -> None:
    rules = '[[facts]]\nwhere = { metric = "ap" }\ngenerated_per_type = "unknown"\nresolution = "unknown"'
    (record,) = published_records("p", 1, [small([LINE], rules)])
    assert (record.generated_per_type, record.resolution) == (UNKNOWN_COUNT, UNKNOWN_COUNT)
    assert comparability(record) is None
    (why,) = [reason for reason in why_incomparable(record, record) if "unknown" in reason]
    assert "number of generated images a type" in why
    assert "resolution" in why


def test_reasons_are_told_in_the_words_of_the_field() -> None:
    measured = Record(
        protocol="p",
        dataset="mvtec_ad",
        category="bottle",
        split="first-third@1",
        selection="last",
        generated_per_type=1000,
        metric="f1_max",
        features="canonical: Inception-2015",
    )
    printed = {
        "selection": ("test-oracle", "checkpoint chosen on the test set, not checkpoint of the last epoch"),
        "generated_per_type": (500, "500 of 1,000 images a type"),
        "dialect": ("grid21", "F1-max on a grid of 21 thresholds, not by the exact rule"),
        "features": ("embedded: EfficientNet-Lite0", "features EfficientNet-Lite0, not Inception-2015"),
        "scope": ("category", "one model a category, not "),
        "split": (UNKNOWN, "split is unknown"),
    }
    for name, (value, words) in printed.items():
        (why,) = why_incomparable(Record(**{**vars_of(measured), name: value}), measured)
        assert words in why


def vars_of(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in COMPARABILITY}


def test_every_published_record_of_a_protocol_says_whence_it_is(shelf: tuple[Paper, ...]) -> None:
    records = published_records("mvtec_supervised", 1)
    assert len(records) == sum(
        "mvtec_supervised" in value.facts["protocols"] for paper in shelf for value in paper.values
    )
    assert {record.kind for record in records} == {"published"}
    assert {record.source.partition(",")[0] for record in records} <= {paper.short for paper in shelf}
    assert all(record.value is not None and record.status == "ok" for record in records)


def test_published_numbers_never_share_a_column_with_measured_ones_silently() -> None:
    for record in published_records("mvtec_supervised", 1):
        assert comparability(record) is None


def test_the_row_that_is_the_method_as_published_has_no_variant() -> None:
    tables = {f"SeaS, Table {number}" for number in (5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)}
    plain = {
        record.source
        for record in published_records("mvtec_supervised", 1)
        if record.generator == "seas" and not record.generator_variant
    }
    assert tables <= plain


def test_papers_are_read_once() -> None:
    assert papers() is papers()
