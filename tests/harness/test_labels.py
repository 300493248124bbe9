"""What of a cell's labels is part of the key of its scores: a key that changed would be scored again."""

from dataclasses import fields, replace

from bench.record.labels import SCORE, CellLabels
from bench.record.record import Record

DATA = CellLabels(protocol="p", protocol_version=2, scale="quick", category="bolt", split="third", seed=3)
GENERATED = replace(DATA, generator="perlin", generator_version=1, generated_per_type=500)


def test_fields_of_a_method_stand_in_the_key_only_where_there_is_one() -> None:
    generator = {"generator", "generator_version", "generator_variant", "generator_params"}
    assert GENERATED.to_json().keys() - DATA.to_json().keys() == {*generator, "generated_per_type"}
    trained = replace(DATA, detector="unet", mix="real")
    detector = {"detector", "detector_version", "detector_variant", "detector_params"}
    assert trained.to_json().keys() - DATA.to_json().keys() == {*detector, "mix", "scope", "selection"}


def test_colour_is_not_in_the_key_and_depth_is() -> None:
    assert "modality" not in DATA.to_json()
    assert replace(DATA, modality="depth").to_json()["modality"] == "depth"


def test_bench_score_knows_a_method_by_its_name() -> None:
    labels = replace(GENERATED, protocol=SCORE, generator_version=0)
    unknown = {"preset", "generator_version", "generator_variant", "generator_params"}
    assert GENERATED.to_json().keys() - labels.to_json().keys() == unknown


def test_labels_are_read_back_from_their_key() -> None:
    assert CellLabels(**GENERATED.to_json()) == GENERATED


def test_a_record_has_the_labels_of_its_cell() -> None:
    record = Record.of(GENERATED, metric="kid", defect="scratch")
    assert {f.name: getattr(record, f.name) for f in fields(CellLabels)} == {
        **vars(GENERATED),
        "defect": "scratch",
    }
    assert record.metric == "kid"
