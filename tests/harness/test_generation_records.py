"""From features to records: distances between sets, and means over types."""

import numpy as np
import pytest

from bench.metrics import fid, kid
from bench.record.record import Record
from bench.stages.generation_records import ImageFeatures, lpips_records, set_records


def features(images: int, seed: int) -> ImageFeatures:
    rng = np.random.default_rng(seed)
    defects = tuple("dent" if row % 2 else "hole" for row in range(images))
    return ImageFeatures(rng.normal(size=(images, 6)), np.ones((images, 1)), defects, {})


@pytest.fixture
def template() -> Record:
    return Record(level="generation", category="washer", unit="")


def test_kid_has_an_interval_and_fid_says_against_how_many_images(template):
    generated, real = features(30, 0), features(12, 1)
    of_kid, of_fid = set_records(template, generated, real, "base third of the category")
    assert (of_kid.metric, of_kid.value) == ("kid", kid(generated.features, real.features).value)
    assert of_kid.ci_low < of_kid.value < of_kid.ci_high
    assert (of_fid.metric, of_fid.value) == ("fid", fid(generated.features, real.features))
    assert (of_fid.n, of_fid.stderr, of_fid.note) == (30, None, "against 12 real images")
    assert {(record.direction, record.unit) for record in (of_kid, of_fid)} == {("lower", "1")}


def test_fid_of_fewer_than_ten_real_images_is_undefined_and_says_why(template):
    _, of_fid = set_records(template, features(30, 0), features(9, 1), "base")
    assert (of_fid.status, of_fid.value) == ("undefined", None)
    assert "9 real images are too few" in of_fid.note


def test_of_normal_images_there_is_kid_alone(template):
    normals = Record(level="generation-normal", category="washer")
    records = set_records(normals, features(30, 0), features(12, 1), "train/good")
    assert [record.metric for record in records] == ["kid"]


def test_lpips_of_a_category_is_the_mean_over_its_types(template):
    report = {
        "network": "embedded-stages",
        "weights_sha256": {"w": "abc"},
        "types": {
            "dent": {"value": 0.25, "error": 0.03, "error_kind": "jackknife", "images": 5},
            "hole": {"value": 0.75, "error": 0.04, "error_kind": "jackknife", "images": 7},
        },
    }
    *types, mean = lpips_records(template, report)
    assert [record.defect for record in types] == ["dent", "hole"]
    assert (mean.defect, mean.value, mean.n, mean.stderr) == ("all", 0.5, 12, pytest.approx(0.025))
    assert (mean.features, mean.weights_sha256, mean.reference) == ("embedded-stages", "abc", "none")


def test_a_type_with_one_image_leaves_lpips_of_its_category_undefined(template):
    report = {
        "network": "embedded-stages",
        "weights_sha256": {},
        "types": {"dent": {"undefined": "one image has no pair", "images": 1}},
    }
    dent, mean = lpips_records(template, report)
    assert (dent.status, mean.status) == ("undefined", "undefined")
    assert mean.note == "undefined for dent: one image has no pair"
