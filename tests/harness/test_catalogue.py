"""The catalogue: what the project measures is said once; an unknown name is refused when it is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.methods import registry
from bench.metrics.detection import image_values, pixel_values
from bench.record import catalogue
from bench.record.record import Record, read_records, write_records
from bench.stages.generation_records import SET_METRICS

KNOWN = Record(level="pixel", metric="ap", value=0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "aproc"}, "unknown metric 'aproc'.*auroc"),
        ({"level": "pixels"}, "unknown level 'pixels'.*pixel"),
        ({"dialect": "grid22"}, "unknown dialect 'grid22'.*grid21"),
        ({"level": "classification"}, "no metric 'ap' of level 'classification'"),
        ({"dialect": "pool21", "metric": "iou"}, "no dialect 'pool21' of metric 'iou'"),
    ],
)
def test_a_name_that_the_catalogue_lacks_is_refused_when_it_is_written(tmp_path: Path, fields, message):
    with pytest.raises(BenchError, match=message):
        write_records(tmp_path / "records.jsonl", [replace(KNOWN, **fields)])


def test_a_name_of_another_version_is_read_and_shown_as_it_is(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    write_records(path, [KNOWN])
    path.write_text(path.read_text().replace('"ap"', '"old_metric"'))
    (record,) = read_records(path)
    assert record.metric == "old_metric"
    assert catalogue.metric_title("old_metric") == "old metric"
    assert catalogue.position("old_metric", catalogue.metrics()) > catalogue.position(
        "ap", catalogue.metrics()
    )


def test_entries_refer_to_entries():
    assert all(
        level in catalogue.levels() for metric in catalogue.metrics().values() for level in metric.levels
    )
    named = {dialect for metric in catalogue.metrics().values() for dialect in metric.dialects}
    assert named == set(catalogue.dialects())
    assert all(set(metric.headline) <= set(metric.levels) for metric in catalogue.metrics().values())


def test_pixel_ap_then_accuracy_then_image_auroc_stand_for_a_detector():
    assert catalogue.headlines() == [("pixel", "ap"), ("classification", "accuracy"), ("image", "auroc")]


def test_what_is_planned_is_what_stages_record():
    assert [name for _, name in catalogue.planned("generation-normal")] == ["kid"]
    assert ("generation", "mask_spill") in catalogue.planned("generation")
    assert ("generation", "recall_hmean") not in catalogue.planned(*catalogue.levels())


def test_what_is_computed_by_the_default_rules_has_an_entry():
    maps, masks = np.arange(32.0).reshape(2, 4, 4), np.zeros((2, 4, 4), bool)
    masks[1, 1:3, 1:3] = True
    of_pixels = pixel_values(maps, masks, {}).values
    scores = np.linspace(0, 1, 21)  # recall at a true negative rate of 0.95 needs 20 normal images
    of_images, _ = image_values(scores, scores == 1, None)
    for level, values in (("pixel", of_pixels), ("image", of_images)):
        named = {(level, metric) for metric, dialect in values if dialect == "default"}
        assert named == set(catalogue.planned(level))
    assert set(SET_METRICS) <= set(catalogue.metrics())


PLUGIN = """
from bench.methods import Detector
from bench.record import catalogue

catalogue.add(catalogue.Metric("sharpness", "sharpness", "How sharp images are.", ("generation",)))

class Blank(Detector):
    name, version = "blank", 1
    scope, task, modality = "dataset", "anomaly", "rgb"

    def fit(self, data, out, ctx):
        pass

    def predict(self, model, images, ctx):
        yield from ()
"""


def test_a_plugin_file_adds_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_PLUGINS", {"generator": {}, "detector": {}})
    monkeypatch.setitem(catalogue._METRICS, "sharpness", KNOWN)  # taken out again when the test ends
    path = tmp_path / "blank.py"
    path.write_text(PLUGIN)
    registry.load_plugins([str(path)])
    write_records(tmp_path / "rows", [Record(level="generation", metric="sharpness", value=1.0)])
    assert ("generation", "sharpness") in catalogue.planned("generation")


def test_a_plugin_cannot_change_what_is_built_in():
    with pytest.raises(BenchError, match="already has a metric 'ap'"):
        catalogue.add(replace(catalogue.metrics()["ap"], sentence="something else"))
