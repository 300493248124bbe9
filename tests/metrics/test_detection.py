"""All dialects at once give what each function gives for one dialect."""

import numpy as np
import pytest

from bench.metrics import image_metrics, image_scores, pixel_metrics, prepare_masks
from bench.metrics.detection import OF_MASKS, image_values, pixel_values
from bench.metrics.masks import MASK_DIALECTS
from bench.metrics.threshold_grids import GRIDS

MASK_RULES = tuple(name for name in MASK_DIALECTS if name != "default")


@pytest.fixture
def predicted() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Maps float32 [6, 24, 24] in 0..1, the default truth, and the truth by rule of masks of 60 x 60."""
    rng = np.random.default_rng(3)
    raw = np.zeros((6, 60, 60), np.uint8)
    for mask in raw[:4]:
        y, x = rng.integers(0, 40, 2)
        mask[y : y + 13, x : x + 17] = 255
    truth = prepare_masks(raw, 24)
    maps = np.clip(truth * 0.4 + rng.random((6, 24, 24)) * 0.6, 0, 1).astype(np.float32)
    rules = {rule: MASK_DIALECTS[rule] for rule in MASK_RULES}
    by_rule = {name: prepare_masks(raw, 24, filter=f, rule=r) for name, (f, r) in rules.items()}
    return maps, truth, by_rule


def test_grids_and_areas_are_those_of_one_dialect_at_a_time(predicted):
    maps, truth, by_rule = predicted
    found, undefined, _ = pixel_values(maps, truth, by_rule)
    assert undefined == {}
    for grid in GRIDS:
        one = pixel_metrics(maps, truth, dialect=grid)
        assert (found["f1_max", grid], found["iou", grid]) == pytest.approx((one["f1_max"], one["iou"]))
    exact = pixel_metrics(maps, truth)
    assert {metric: found[metric, "default"] for metric in OF_MASKS}.items() <= exact.items()
    assert found["iou", "per-image-oracle"] == pytest.approx(exact["iou_per_image_oracle"])
    assert found["ap", "trapezoid"] == pytest.approx(pixel_metrics(maps, truth, dialect="trapezoid")["ap"])


@pytest.mark.parametrize("rule", MASK_RULES)
def test_a_rule_of_masks_is_the_exact_metric_on_its_own_masks(predicted, rule):
    maps, truth, by_rule = predicted
    found, _, _ = pixel_values(maps, truth, by_rule)
    exact = pixel_metrics(maps, by_rule[rule])
    for metric in OF_MASKS:
        assert found[metric, rule] == pytest.approx(exact[metric], abs=1e-12)


def test_thresholds_of_probabilities_are_undefined_on_other_maps_and_says_why(predicted):
    maps, truth, by_rule = predicted
    found, undefined, _ = pixel_values(maps * 3, truth, by_rule)
    assert "no probabilities" in undefined["iou", "argmax"]
    assert ("iou", "argmax") not in found
    assert ("iou", "grid21-minmax") in found
    _, undefined, _ = pixel_values((maps - 0.5) * np.finfo(np.float32).max * 2, truth, by_rule)
    assert "overflows float32" in undefined["iou", "grid21-minmax"]


def test_image_dialects_pool_the_map_and_take_trapezoids(predicted):
    maps, truth, _ = predicted
    labels = truth.any(axis=(1, 2))
    scores = image_scores(maps)
    found, undefined = image_values(scores, labels, maps)
    assert undefined == {
        ("recall_at_tnr95", "default"): "2 normal images are too few for a true negative rate of 0.95; it "
        "needs 20"
    }
    assert found["ap", "trapezoid"] == image_metrics(scores, labels, dialect="trapezoid")["ap"]
    assert found["auroc", "pool21"] == image_metrics(image_scores(maps, "pool21"), labels)["auroc"]
    assert ("f1_max", "grid21") in image_values(scores * 5, labels, None)[1]
