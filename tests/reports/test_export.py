"""Exports: nothing lost on the way to files, and tables that papers can take in."""

import csv
import functools
import re
from dataclasses import asdict, fields, replace
from typing import get_args

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.record.record import Record
from reports.files.export import export, read_json

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r"), max_size=30)
BY_TYPE = {
    str: TEXT,
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


def strategy(annotation):
    literal = [each for each in get_args(annotation) if isinstance(each, str)]
    if literal:
        return st.sampled_from(literal)
    return st.one_of([BY_TYPE[each] for each in get_args(annotation) or (annotation,)])


RECORDS = st.lists(
    st.builds(Record, **{field.name: strategy(field.type) for field in fields(Record)}),
    min_size=1,
    max_size=4,
)
ROUND_TRIPS = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ROUND_TRIPS
@given(RECORDS)
def test_json_reads_back_into_the_same_records(tmp_path, records):
    assert read_json(export(records, tmp_path / "r.json", "json")) == records


@ROUND_TRIPS
@given(RECORDS)
def test_parquet_keeps_every_field_and_bit(tmp_path, records):
    frame = pd.read_parquet(export(records, tmp_path / "r.parquet", "parquet"), dtype_backend="pyarrow")
    found = [
        {name: None if value is pd.NA else value for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]
    assert found == [asdict(record) for record in records]


@ROUND_TRIPS
@given(RECORDS)
def test_csv_keeps_every_field_and_the_exact_floats(tmp_path, records):
    path = export(records, tmp_path / "r.csv", "csv")
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row, record in zip(rows, records, strict=True):
        for name, value in asdict(record).items():
            cell = row[name]
            assert (
                (float(cell) == value)
                if isinstance(value, float)
                else cell.removeprefix("'") == ("" if value is None else str(value)).removeprefix("'")
            )


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"])
@pytest.mark.parametrize("table", ["records", "leaderboard"])
def test_no_text_of_a_csv_is_a_formula(board, tmp_path, text, table):
    board.add(generator=text, value=0.5)
    path = export(board.records, tmp_path / "r.csv", "csv", table=table)
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["generator"] for row in rows} == {f"'{text}"}
    assert {float(row["value"]) for row in rows} == {0.5}


def test_a_mean_over_part_of_the_categories_says_so_in_markdown_and_latex(board, tmp_path):
    for generator in ("a", "b"):
        board.add(generator=generator, category="bolt", value=0.5)
        board.add(generator=generator, category="tile", status="undefined", note="one defect type")
    for format in ("markdown", "latex"):
        text = export(board.records, tmp_path / format, format).read_text()
        assert "(1 of 2 categories)" in text


def test_parquet_columns_have_the_types_of_the_record_even_where_all_are_none(tmp_path):
    frame = pd.read_parquet(export([Record()], tmp_path / "r.parquet", "parquet"), dtype_backend="pyarrow")
    assert str(frame.dtypes["peak_memory"]) == "int64[pyarrow]"
    assert str(frame.dtypes["value"]) == "double[pyarrow]"


def test_markdown_marks_the_best_of_a_column_only_where_the_rank_says_so(board, fill, tmp_path):
    fill(board)
    text = export(board.records, tmp_path / "t.md", "markdown", board.replicates).read_text()
    (best,) = [line for line in text.splitlines() if "**" in line and "|" in line]
    assert best.startswith("| strong | generated + real | **")
    bare = [replace(record, stderr=None) for record in board.records]
    plain = export(bare, tmp_path / "u.md", "markdown").read_text()
    assert not [line for line in plain.splitlines() if "**" in line and "|" in line]


HOSTILE = (
    "a|b<script>\nc", "[x](javascript:alert(1))", "![](http://evil)", "**bold** `code` ~~s~~",
    "\\input{x} $y$ %z",
    "[opt] * & # _ ^ ~ {", "\x00\x1b[31m", "\u202ertl", "x" * 300,
)  # fmt: skip


def test_markdown_tables_survive_pipes_and_tags_in_names(board, tmp_path):
    board.add(value=0.5, generator="a|b<script>\nc")
    text = export(board.records, tmp_path / "t.md", "markdown").read_text()
    assert "| a\\|b&lt;script> c | generated only | 50.0 |" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_a_markdown_cell(board, tmp_path, name):
    board.add(value=0.5, generator=name)
    text = export(board.records, tmp_path / "t.md", "markdown").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| ") and "50.0" in line]
    assert len(re.findall(r"(?<!\\)\|", line)) == 4
    assert not re.search(r"(?<!\\)[\[\]`*<]|[\x00-\x1f\u202e]", line)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_a_latex_cell(board, tmp_path, name):
    board.add(value=0.5, generator=name)
    text = export(board.records, tmp_path / "t.tex", "latex").read_text()
    (line,) = [line for line in text.splitlines() if "50.0" in line]
    label = line.partition(" & generated only")[0]
    assert not re.search(r"(?<!\\)[%$#&_^~]", re.sub(r"\$[^$]*\$", "", label))
    assert not re.match(r"[\[*]", label)
    assert label.count("{") - label.count(r"\{") == label.count("}") - label.count(r"\}")
    assert not re.search(r"\\(?!text|[&%$#_{}])", label)
    assert label.isprintable()


def test_latex_marks_best_and_second_best_and_gains_beyond_chance(board, fill, tmp_path):
    fill(board)
    board.add(value=0.5, generator="a_b&c%", category="bolt")
    text = export(board.records, tmp_path / "t.tex", "latex", board.replicates).read_text()
    assert r"a\_b\&c\% & generated only & not run \\" in text
    (best,) = [line for line in text.splitlines() if r"\textbf{" in line]
    assert best.startswith("strong & ")
    assert r"\scriptsize" in best
    assert text.count(r"\underline{") == 2  # "same" is the real third again
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert "gain over real third only" in text
    assert "$^{*}$" in text


def printed(**fields):
    facts = {
        "kind": "published",
        "category": "mean",
        "value": 0.99,
        "source": "SeaS, Table 4",
        "dataset": "visa",
    }
    facts |= {"detector": "unet", "level": "classification", "metric": "accuracy", "generator": "seas"}
    return Record(**{**facts, "mix": "generated", **fields})


@pytest.mark.parametrize(("format", "mark"), [("latex", "textbf{99.0}"), ("markdown", "**99.0**")])
def test_published_rows_stand_in_a_table_of_their_own_and_are_never_best(board, fill, tmp_path, format, mark):
    fill(board)
    path = tmp_path / "t"
    text = export(board.records, path, format, board.replicates, published=[printed()]).read_text()
    assert "unet: published" in text
    (note,) = [line for line in text.splitlines() if "SeaS, visa: " in line]
    assert "data set visa, not d" in note
    assert "seas, SeaS, visa" in text
    assert "99.0" in text
    assert mark not in text
    assert ": published" not in export(board.records, path, format, board.replicates).read_text()


def test_a_leaderboard_as_rows_has_intervals_ranks_and_gains(board, fill, tmp_path):
    fill(board)
    path = tmp_path / "t.csv"
    export(board.records, path, "csv", board.replicates, table="leaderboard", published=[printed()])
    rows = pd.read_csv(path)
    (best,) = rows[(rows["category"] == "mean") & (rows["generator"] == "strong")].to_dict("records")
    assert best["ci_low"] < best["value"] < best["ci_high"]
    assert (best["rank"], best["gain_significant"]) == (1, "yes")
    assert best["gain_low"] < best["gain"] < best["gain_high"]
    (theirs,) = rows[rows["kind"] == "published"].to_dict("records")
    assert (theirs["value"], theirs["source"]) == (0.99, "SeaS, Table 4")
    assert pd.isna(theirs["rank"])


@pytest.mark.parametrize("format", ["parquet", "json"])
def test_a_leaderboard_as_rows_is_the_same_in_every_format(board, fill, tmp_path, format):
    fill(board)
    exactly = functools.partial(pd.read_json, precise_float=True)
    read = {"parquet": pd.read_parquet, "json": exactly}[format]
    frames = [
        reader(export(board.records, tmp_path / name, name, board.replicates, table="leaderboard"))
        for name, reader in (("csv", pd.read_csv), (format, read))
    ]
    for name in ("value", "ci_low", "gain", "rank", "row", "category"):
        one, other = (frame[name] for frame in frames)
        assert [each for each in one if pd.notna(each)] == [each for each in other if pd.notna(each)]


def test_records_can_bring_what_papers_printed(board, tmp_path):
    board.add(value=0.5)
    kept = read_json(export(board.records, tmp_path / "r.json", "json", published=[printed()]))
    assert [record.kind for record in kept] == ["measured", "published"]


def test_an_unknown_table_is_one_clear_sentence(tmp_path):
    with pytest.raises(BenchError, match="unknown table 'record'; did you mean 'records'"):
        export([], tmp_path / "x", "csv", table="record")


def test_a_void_cell_says_why_in_one_word(board, tmp_path):
    board.add(status="skipped", note="knows no types")
    assert "skipped" in export(board.records, tmp_path / "t.md", "markdown").read_text()


def test_an_unknown_format_is_one_clear_sentence(tmp_path):
    with pytest.raises(BenchError, match=r"unknown export format 'jsn'; did you mean 'json'\?"):
        export([], tmp_path / "x", "jsn")


def test_a_path_that_cannot_be_written_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="cannot write"):
        export([], tmp_path / "file" / "x.csv", "csv")
