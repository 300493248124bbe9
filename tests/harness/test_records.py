import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.record.record import (
    COMPARABILITY,
    PROVENANCE,
    UNKNOWN,
    Record,
    comparability,
    read_records,
    why_incomparable,
    write_records,
)

TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.builds(
            Record,
            level=st.just("pixel"),
            metric=st.just("ap"),
            category=TEXT,
            note=TEXT,
            seed=st.integers(0, 2**40),
            value=st.none() | NUMBER,
            ci_low=st.none() | NUMBER,
            status=st.sampled_from(["ok", "undefined", "skipped", "failed"]),
        ),
        max_size=4,
    )
)
def test_records_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    write_records(path, records)
    assert list(read_records(path)) == records


def test_a_float_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    write_records(tmp_path / "r", [Record(level="pixel", metric="ap", value=0.1 + 0.2)])
    assert next(read_records(tmp_path / "r")).value == 0.1 + 0.2


def test_every_key_is_in_every_line_but_provenance_which_comes_from_the_manifest(
    tmp_path: Path, record: Record
) -> None:
    path = tmp_path / "records.jsonl"
    write_records(path, [replace(record, run="other", seconds=3.0), record])
    one, other = path.read_text().splitlines()
    assert one == other
    assert set(json.loads(one)) == {field.name for field in fields(Record)} - set(PROVENANCE)
    (read, _) = read_records(path, task="ab", run="r", seconds=1.5, peak_memory=7)
    assert (read.task, read.run, read.seconds, read.peak_memory) == ("ab", "r", 1.5, 7)
    assert replace(read, task="", run="", seconds=None, peak_memory=None) == record


def test_a_record_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_records(tmp_path / "r", [Record(level="pixel", metric="ap", value=float("nan"))])


def test_fields_of_a_later_version_are_left_alone(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "records.jsonl"
    write_records(path, [record])
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "red"}) + "\n")
    assert list(read_records(path)) == [record]


def other_value(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else f"{value}*"


@pytest.mark.parametrize("name", COMPARABILITY)
def test_whatever_decides_comparability_parts_two_records(record: Record, name: str) -> None:
    other = replace(record, **{name: other_value(getattr(record, name))})
    assert comparability(other) != comparability(record)
    (why,) = why_incomparable(record, other)
    assert str(getattr(record, name)) in why or str(getattr(other, name)) in why


@pytest.mark.parametrize(
    "name",
    ["generator", "generator_version", "detector", "detector_params", "seed", "value", "run", "env", "note"],
)
def test_the_method_seed_value_and_provenance_do_not(record: Record, name: str) -> None:
    changed = other_value(getattr(record, name) or 0 if name == "value" else getattr(record, name))
    other = replace(record, **{name: changed})
    assert comparability(other) == comparability(record)
    assert why_incomparable(record, other) == []


def test_unknown_equals_nothing_not_even_unknown(record: Record) -> None:
    unknown = replace(record, split=UNKNOWN)
    assert comparability(unknown) is None
    assert why_incomparable(unknown, unknown) == ["split is unknown"]


def test_comparability_and_provenance_name_fields_that_are() -> None:
    assert set(COMPARABILITY) | set(PROVENANCE) <= set(asdict(Record()))
    assert not set(COMPARABILITY) & set(PROVENANCE)
