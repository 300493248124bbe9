"""From features to records: distances between sets, and means over types."""

import numpy as np
import pytest

from bench.metrics import fid, inception_score, kid
from bench.record.record import Record
from bench.stages.generation_records import (
    ImageFeatures,
    honesty_records,
    ic_lpips_records,
    is_records,
    lpips_records,
    set_records,
)


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
    assert (mean.df, mean.ci_method) == (
        pytest.approx(9.5, abs=0.5),
        f"Student's t, errors of the types, {mean.df:.4g} degrees of freedom",
    )
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


def of_types(images: int, seed: int = 0) -> ImageFeatures:
    """So many images of one type with class probabilities that differ."""
    p = np.random.default_rng(seed).dirichlet(np.full(5, 0.3), images)
    return ImageFeatures(np.zeros((images, 1)), p, ("dent",) * images, {})


def test_is_of_ten_images_is_of_one_split_and_has_no_error(template):
    different, mean = is_records(template, of_types(10))
    assert different.value > 1.5
    assert (different.stderr, different.ci_low, different.df) == (None, None, 0.0)
    assert different.note == "one split of 10 images, which cannot score above 10 and has no spread"
    assert (mean.value, mean.stderr, mean.note) == (different.value, None, different.note)


def test_is_of_one_image_is_undefined(template):
    dent, mean = is_records(template, of_types(1))
    assert (dent.status, dent.value, dent.note) == (
        "undefined",
        None,
        "one image scores 1 whatever it shows; IS needs two",
    )
    assert mean.status == "undefined"


def test_is_of_a_hundred_images_has_ten_splits_and_their_spread(template):
    dent, _ = is_records(template, of_types(100))
    estimate = inception_score(of_types(100).probabilities)
    assert (dent.stderr, dent.df, dent.note) == (pytest.approx(estimate.error / 3), 9, "")
    assert dent.ci_low < dent.value < dent.ci_high


def test_fid_of_fewer_than_ten_generated_images_is_undefined_and_says_why(template):
    _, of_fid = set_records(template, features(9, 0), features(30, 1), "base")
    assert of_fid.note == "9 generated images are too few to fit a Gaussian; FID needs 10"


def test_ic_lpips_of_one_cluster_has_neither_error_nor_interval(template):
    facts = {"clusters": 2, "empty": 1, "single": 0, "members": [3, 0], "assigned": [3, 0], "network": "n"}
    one = {**facts, "value": 0.2, "cluster_values": [0.2, None], "dialect": "default"}
    dent, _ = ic_lpips_records(template, {"dent": {"ic_lpips": one}})
    assert (dent.value, dent.stderr, dent.ci_low) == (0.2, None, None)
    assert dent.ci_method == "none: one alone does not vary (1000 resamples of 1 clusters)"


def honest(**facts) -> dict[str, Record]:
    """The records of a type with these facts of its nearest images, by metric."""
    nearest = {"copies": 0.0, "leaks": 0.0, "images": 30, "real_images": 12} | facts
    fit = {"undefined": "every mask is empty or full"}
    rows = honesty_records(
        Record(level="generation", category="washer"),
        {"types": {"dent": nearest}, "weights_sha256": {}},
        {"types": {"dent": fit}, "reference": "r"},
    )
    return {row.metric: row for row in rows if row.defect == "dent"}


def test_no_copy_among_thirty_images_leaves_room_for_a_tenth(template):
    copies = honest()["copies"]
    assert (copies.value, copies.ci_low, copies.ci_high) == (0.0, 0.0, pytest.approx(0.116, abs=1e-3))
    assert copies.note.startswith("of 12 real images the least distance counts")
    assert honest(real_images=100)["copies"].note == ""


def test_a_share_of_one_image_has_no_error_and_nearly_the_widest_interval():
    copies = honest(images=1, copies=1.0)["copies"]
    assert (copies.stderr, copies.ci_low, copies.ci_high) == (None, pytest.approx(0.025), 1.0)


def test_without_a_test_image_of_the_type_leaks_are_undefined():
    leaks = honest(leaks=None)["leaks"]
    assert (leaks.status, leaks.note) == ("undefined", "there is no test image of the type")
