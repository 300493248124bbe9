"""Mask agreement falls as masks are shifted, dilated or swapped, with bases and with nearest normals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from bench.metrics import MetricInputError, UndefinedMetricError
from bench.metrics.mask_agreement import mask_agreement, nearest_normal
from bench.sample import CATEGORIES, SampleItem, SampleSpec
from bench.sample.render import photograph

SIDE = 72


def scenes(count=12, seed=0):
    """(normals, images, masks): a smooth part under noise and changing light, with irregular stains."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    part = 90 + 60 * np.cos(np.hypot(y - 36, x - 36) / 12)
    normals = part[None] * rng.uniform(0.97, 1.03, (count, 1, 1)) + rng.normal(0, 3, (count, SIDE, SIDE))
    masks = np.zeros((count, SIDE, SIDE), bool)
    for mask in masks:
        cy, cx = rng.uniform(18, SIDE - 18, 2)
        wobble = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 3) * 12
        mask[:] = np.hypot(y - cy, (x - cx) * rng.uniform(0.6, 1.2)) + wobble < rng.uniform(6, 10)
    images = normals - masks * rng.uniform(30, 60, (count, 1, 1))
    as_rgb = [np.repeat(a[..., None], 3, axis=3).clip(0, 255).astype(np.uint8) for a in (normals, images)]
    return (*as_rgb, masks)


@pytest.fixture(scope="module")
def scene():
    return scenes()


@pytest.fixture(params=["bases", "normals"])
def source(request, scene):
    if request.param == "bases":
        return {"bases": scene[0]}
    return {"normals": scenes(30, seed=5)[0]}


def shifted(masks, pixels):
    return np.roll(masks, pixels, axis=2)


def dilated(masks, pixels):
    return np.stack([ndimage.binary_dilation(m, iterations=pixels) if pixels else m for m in masks])


@pytest.mark.parametrize("worse", [shifted, dilated])
def test_the_score_falls_step_by_step_as_masks_leave_their_defects(scene, source, worse):
    _, images, masks = scene
    results = [mask_agreement(images, worse(masks, pixels), **source) for pixels in (0, 2, 4, 7, 11)]
    scores = [result.score for result in results]
    assert scores == sorted(scores, reverse=True), scores
    assert scores[0] > scores[1]
    assert scores[-1] < 0.75 * scores[0]
    overlaps = [result.overlap for result in results]
    assert overlaps == sorted(overlaps, reverse=True), overlaps
    assert results[0].boundary > max(result.boundary for result in results[2:])


@pytest.mark.parametrize("against", ["bases", "normals"])
@pytest.mark.parametrize("category", ["chip", "leather", "washer", "weave"])
def test_it_falls_on_the_sample_data_whose_truth_is_known(category, against):
    spec = SampleSpec(size=128)
    shots = [SampleItem(category, "test", defect, i) for defect in CATEGORIES[category] for i in range(3)]
    damaged = [photograph(spec, shot, damaged=True) for shot in shots]
    images, masks = (np.stack([getattr(shot, name) for shot in damaged]) for name in ("image", "mask"))
    good = shots if against == "bases" else [SampleItem(category, "train", "good", i) for i in range(24)]
    source = {against: np.stack([photograph(spec, shot, damaged=False).image for shot in good])}

    def shuffled(masks, count):
        return np.concatenate([np.roll(masks[:count], 3, axis=0), masks[count:]])

    half, every = len(masks) // 2, len(masks)
    for worse, steps in ((shifted, (0, 1, 3, 6)), (dilated, (0, 1, 3, 6)), (shuffled, (0, half, every))):
        scores = [mask_agreement(images, worse(masks, step), **source).score for step in steps]
        assert all(before > after for before, after in itertools.pairwise(scores)), (worse, scores)


def test_masks_of_other_images_score_near_nothing(scene, source):
    _, images, masks = scene
    right = mask_agreement(images, masks, **source)
    half = mask_agreement(images, np.concatenate([masks[:6], np.roll(masks[6:], 1, axis=0)]), **source)
    wrong = mask_agreement(images, np.roll(masks, 1, axis=0), **source)
    assert right.score > half.score > wrong.score
    assert wrong.score < 0.3 * right.score
    assert right.contrast > 0.5


def test_a_base_that_differs_inside_the_mask_only_has_full_contrast_and_spills_nothing():
    images = np.full((1, 20, 20, 3), 100, np.uint8)
    masks = np.zeros((1, 20, 20), bool)
    masks[0, 5:12, 5:12] = True
    changed = images.copy()
    changed[0, 5:12, 5:12] = 200
    result = mask_agreement(changed, masks, bases=images)
    assert (result.contrast, result.spill) == (1.0, 0.0)
    assert result.overlap == 1.0
    untouched = mask_agreement(images, masks, bases=images)
    assert (untouched.score, untouched.contrast, untouched.boundary) == (0.0, 0.0, 0.5)
    assert (untouched.spill, untouched.errors) == (None, {"score": None, "boundary": None})
    assert mask_agreement(
        np.tile(images, (2, 1, 1, 1)), np.tile(masks, (2, 1, 1)), bases=np.tile(images, (2, 1, 1, 1))
    ).errors == {
        "score": 0.0,
        "boundary": 0.0,
    }


def test_a_mask_without_pixels_beside_its_outline_has_no_boundary():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(3, axis=3)
    mask = np.zeros((1, 4, 4), bool)
    mask[0, ::2, ::2] = True
    result = mask_agreement(image, mask, bases=np.zeros_like(image))
    assert result.boundary is None
    assert result.overlap == pytest.approx(0.2)


def test_spill_is_the_change_outside_over_that_inside_and_its_error_shrinks_with_more_images():
    rng = np.random.default_rng(2)
    images, masks = np.zeros((400, 16, 16, 3), np.uint8), np.zeros((400, 16, 16), bool)
    masks[:, 4:10, 4:10] = True
    changed = images.copy()
    changed[masks] = rng.integers(120, 180, (400, 1, 1)).repeat(36, axis=1).reshape(-1, 1)
    changed[~masks] = rng.integers(10, 50, (400, 1, 1)).repeat(220, axis=1).reshape(-1, 1)
    every = mask_agreement(changed, masks, bases=images)
    assert every.spill == pytest.approx(changed[~masks].mean() / changed[masks].mean(), rel=1e-12)
    parts = [mask_agreement(changed[i::20], masks[i::20], bases=images[i::20]) for i in range(20)]
    assert np.std([part.spill for part in parts]) == pytest.approx(parts[0].errors["spill"], rel=0.5)
    assert every.errors["spill"] == pytest.approx(parts[0].errors["spill"] / 20**0.5, rel=0.5)


def test_empty_and_full_masks_are_left_out_and_counted(scene):
    normals, images, masks = scene
    masks = masks.copy()
    masks[0], masks[1] = False, True
    result = mask_agreement(images, masks, bases=normals)
    assert (result.images, result.left_out, len(result.scores)) == (10, 2, 10)
    with pytest.raises(UndefinedMetricError, match="empty or full"):
        mask_agreement(images, np.zeros_like(masks), bases=normals)


def test_the_nearest_normal_is_the_one_with_the_smallest_mean_squared_difference():
    rng = np.random.default_rng(0)
    images, normals = (rng.integers(0, 256, (n, 6, 6, 3), dtype=np.uint8) for n in (70, 9))
    gaps = ((images[:, None].astype(float) - normals[None]) ** 2).mean(axis=(2, 3, 4))
    np.testing.assert_array_equal(nearest_normal(images, normals), gaps.argmin(axis=1))


def test_it_asks_for_bases_or_normals_of_the_same_size(scene):
    normals, images, masks = scene
    with pytest.raises(MetricInputError, match="either bases"):
        mask_agreement(images, masks)
    with pytest.raises(MetricInputError, match="do not fit"):
        mask_agreement(images, masks[:, 1:], bases=normals)
    with pytest.raises(MetricInputError, match="differ in size"):
        mask_agreement(images, masks, normals=normals[:, 1:])
