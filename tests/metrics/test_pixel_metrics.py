"""Pixel metrics against scikit-learn, loops and their own rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import (
    auc,
    average_precision_score,
    f1_score,
    jaccard_score,
    precision_recall_curve,
    roc_auc_score,
)

from bench.metrics import (
    MASK_DIALECTS,
    PIXEL_DIALECTS,
    MetricInputError,
    UndefinedMetricError,
    pixel_metrics,
    prepare_masks,
)
from bench.record.catalogue import Scoring

EXACT = 1e-12


def sklearn_values(maps, masks):
    truth, scores = masks.ravel(), maps.ravel()
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = thresholds[np.argmax(f1[:-1])]
    return {
        "auroc": roc_auc_score(truth, scores),
        "ap": average_precision_score(truth, scores),
        "f1_max": f1.max(),
        "iou": jaccard_score(truth, scores >= best),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("decimals", [1, 2, None])
def test_areas_f1_and_iou_are_those_of_scikit_learn(case, dtype, decimals):
    for seed in range(8):
        maps, masks = case(seed, decimals=decimals)
        maps = maps.astype(dtype)
        ours, theirs = pixel_metrics(maps, masks), sklearn_values(maps, masks)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, abs=EXACT), name


def test_the_threshold_reaches_the_best_f1(case):
    maps, masks = case(1)
    result = pixel_metrics(maps, masks)
    assert f1_score(masks.ravel(), maps.ravel() >= result["threshold"]) == pytest.approx(
        result["f1_max"], abs=EXACT
    )


def test_a_case_counted_by_hand():
    maps = np.array([[[0.9, 0.8], [0.3, 0.1]]], np.float32)
    masks = np.array([[[True, False], [True, False]]])
    result = pixel_metrics(maps, masks, fpr_limit=1.0)
    assert result["auroc"] == 0.75  # of the pairs .9>.8, .9>.1, .3<.8, .3>.1 three are won
    assert result["ap"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["f1_max"] == pytest.approx(0.8)
    assert result["iou"] == pytest.approx(2 / 3)
    assert result["threshold"] == pytest.approx(0.3)
    assert result["aupro"] == pytest.approx(0.75)  # one region: its overlap is 1/2 up to rate 1/2, then 1


def test_the_per_image_oracle_is_the_mean_best_iou_over_each_images_own_thresholds(case):
    maps, masks = case(3)
    best = [
        max(jaccard_score(mask.ravel(), (amap >= t).ravel()) for t in np.unique(amap))
        for amap, mask in zip(maps, masks, strict=True)
        if mask.any()
    ]
    result = pixel_metrics(maps, masks)
    assert result["iou_per_image_oracle"] == pytest.approx(np.mean(best), abs=EXACT)
    assert abs(result["iou_per_image_oracle"] - result["iou"]) > 1e-3


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_chunks_do_not_change_the_result(case, chunk):
    maps, masks = case(4)
    assert pixel_metrics(maps, masks, chunk=chunk) == pixel_metrics(maps, masks)


def test_streams_lists_tensors_and_memory_maps_agree_with_arrays(case, tmp_path):
    maps, masks = case(5)
    np.save(tmp_path / "maps.npy", maps)
    mapped = np.load(tmp_path / "maps.npy", mmap_mode="r")
    whole = pixel_metrics(maps, masks)
    assert pixel_metrics(mapped, masks) == whole
    assert pixel_metrics(list(maps), list(masks)) == whole
    assert pixel_metrics(iter(maps), iter(masks)) == whole
    assert pixel_metrics(zip(maps, masks, strict=True)) == whole
    assert pixel_metrics(torch.from_numpy(maps), torch.from_numpy(masks)) == whole


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_tensors_agree_with_arrays(case):
    maps, masks = case(5)
    assert pixel_metrics(torch.from_numpy(maps).cuda(), torch.from_numpy(masks).cuda()) == pixel_metrics(
        maps, masks
    )


def test_images_of_a_stream_may_differ_in_size(case):
    small, large = case(6, side=16), case(7, side=30)
    both = [(small[0], small[1]), (large[0], large[1])]
    result = pixel_metrics(iter(both))
    scores = np.concatenate([small[0].ravel(), large[0].ravel()])
    truth = np.concatenate([small[1].ravel(), large[1].ravel()])
    assert result["ap"] == pytest.approx(average_precision_score(truth, scores), abs=EXACT)


def test_bfloat16_tensors_are_read_exactly(case):
    maps, masks = case(8)
    low = torch.from_numpy(maps).bfloat16()
    assert pixel_metrics(low, masks) == pixel_metrics(low.float().numpy(), masks)


def test_image_order_does_not_matter(case):
    maps, masks = case(9)
    order = np.random.default_rng(0).permutation(len(maps))
    for name, value in pixel_metrics(maps[order], masks[order]).items():
        assert value == pytest.approx(pixel_metrics(maps, masks)[name], abs=EXACT)


@pytest.mark.parametrize("seed", range(3))
def test_rising_changes_of_the_scores_change_nothing_but_the_threshold(case, seed):
    maps, masks = case(seed)
    reference = pixel_metrics(maps, masks)
    for change in (np.exp, lambda s: 1 / (1 + np.exp(-20 * s)), lambda s: s * 1000 - 7, np.arctan):
        changed = pixel_metrics(change(maps.astype(np.float64)), masks)
        for name in set(reference) - {"threshold"}:
            assert changed[name] == pytest.approx(reference[name], abs=EXACT), name


def test_constant_scores_give_chance(case):
    _, masks = case(0)
    result = pixel_metrics(np.zeros(masks.shape, np.float32), masks)
    share = masks.mean()
    assert result["auroc"] == 0.5
    assert result["ap"] == pytest.approx(share)
    assert result["f1_max"] == pytest.approx(2 * share / (1 + share))
    assert result["aupro"] == pytest.approx(0.15)


def test_minus_zero_equals_zero():
    maps = np.array([[[0.0, -0.0, -1.0, 1.0]]], np.float32)
    masks = np.array([[[True, False, False, False]]])
    assert pixel_metrics(maps, masks)["auroc"] == pytest.approx(0.5)


finite32 = st.floats(-3, 3, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-140])


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_scores_agree_with_scikit_learn_and_stay_in_bounds(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))
    maps = data.draw(hnp.arrays(np.float32, shape, elements=finite32))
    masks = data.draw(hnp.arrays(bool, shape))
    if masks.all() or not masks.any():
        with pytest.raises(UndefinedMetricError):
            pixel_metrics(maps, masks)
        return
    ours = pixel_metrics(maps, masks)
    for name, value in sklearn_values(maps, masks).items():
        if name != "iou":  # several thresholds may share the best F1, and then the best IoU
            assert ours[name] == pytest.approx(value, abs=EXACT)
    assert ours["iou"] == pytest.approx(ours["f1_max"] / (2 - ours["f1_max"]))
    assert all(0 <= ours[name] <= 1 for name in set(ours) - {"threshold"})
    assert ours["iou_per_image_oracle"] > 0
    turned = pixel_metrics(-maps, masks)
    assert turned["auroc"] == pytest.approx(1 - ours["auroc"], abs=EXACT)


# --- dialects, each against loops written from its rule --------------------------------------------------


def grid_loop(scores, truth, grid):
    f1, iou = [], []
    for t in grid:
        called = scores > t
        tp, fp, fn = (called & truth).sum(), (called & ~truth).sum(), (~called & truth).sum()
        f1.append(2 * tp / (2 * tp + fp + fn))
        iou.append(tp / (tp + fp + fn))
    return max(f1), max(iou)


@pytest.mark.parametrize(
    ("dialect", "grid"),
    [
        ("grid21", [0.05 * i for i in range(21)]),
        ("grid101", [0.01 * i for i in range(101)]),
        ("argmax", [0.5]),
    ],
)
def test_grid_dialects_take_the_best_of_their_thresholds(case, dialect, grid):
    maps, masks = case(2, decimals=None, shift=0, side=64)
    maps = (maps / 1.8).astype(np.float32)
    result = pixel_metrics(maps, masks, dialect=dialect)
    f1, iou = grid_loop(maps, masks, grid)
    assert (result["f1_max"], result["iou"]) == (pytest.approx(f1, abs=EXACT), pytest.approx(iou, abs=EXACT))
    # a fine grid can meet the best threshold of these maps; squeezed together, it cannot
    squeezed = pixel_metrics(maps * np.float32(0.02), masks, dialect=dialect)["f1_max"]
    assert squeezed < pixel_metrics(maps, masks)["f1_max"]


def test_grids_compare_in_the_type_of_the_scores():
    maps = np.array([[[0.15, 0.1, 0.1, 0.1]]], np.float32)
    masks = np.array([[[False, True, True, True]]])
    # 0.15 is above 0.15 in no type, though the float32 nearest to it is above the float64 nearest to it
    f1, _ = grid_loop(maps, masks, np.float32([0.05 * i for i in range(21)]))
    assert pixel_metrics(maps, masks, dialect="grid21")["f1_max"] == pytest.approx(f1)


def test_the_min_max_grid_scales_all_maps_together_first(case):
    maps, masks = case(2, decimals=None, shift=5)
    scaled = (maps - maps.min()) / (maps.max() - maps.min())
    result = pixel_metrics(maps, masks, dialect="grid21-minmax", chunk=2)
    f1, iou = grid_loop(scaled, masks, np.arange(0, 1.001, 0.05))
    assert (result["f1_max"], result["iou"]) == (pytest.approx(f1, abs=EXACT), pytest.approx(iou, abs=EXACT))
    assert result["f1_max"] != pixel_metrics(maps, masks, dialect="grid21")["f1_max"]


def test_the_trapezoid_dialect_is_the_area_under_the_interpolated_curve(case):
    maps, masks = case(2)
    precision, recall, _ = precision_recall_curve(masks.ravel(), maps.ravel())
    result = pixel_metrics(maps, masks, dialect="trapezoid")
    assert result["ap"] == pytest.approx(auc(recall, precision), abs=EXACT)
    assert abs(result["ap"] - pixel_metrics(maps, masks)["ap"]) > 1e-5


def test_mask_dialects_move_the_numbers():
    rng = np.random.default_rng(0)
    raw = np.zeros((4, 90, 90), np.uint8)
    for mask in raw[:3]:
        y, x = rng.integers(5, 60, 2)
        mask[y : y + 21, x : x + 13] = 255
    blurred = prepare_masks(raw, 32).astype(np.float32) + rng.random((4, 32, 32)).astype(np.float32)
    values = {
        name: pixel_metrics(blurred, prepare_masks(raw, 32, filter=f, rule=r), dialect="default")["ap"]
        for name, (f, r) in MASK_DIALECTS.items()
    }
    assert len({round(value, 6) for value in values.values()}) >= 3, values
    assert values["truncate"] != values["default"] != values["nonzero"]


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, m: (np.where(a == a.max(), np.nan, a), m), "NaN"),
        (lambda a, m: (np.where(a == a.max(), np.inf, a), m), "infinite"),
        (lambda a, m: (a[:, :5], m), "same shape"),
        (lambda a, m: (a[0], m[0]), r"\[N, H, W\]"),
        (lambda a, m: (a[:0], m[:0]), "empty"),
        (lambda a, m: (a, m * np.uint8(255)), "prepare_masks"),
        (lambda a, m: (a, np.zeros_like(m)), "no positive"),
        (lambda a, m: (a, np.ones_like(m)), "no negative"),
        (lambda a, m: (iter([]), None), "stream of maps is empty"),
        (lambda a, m: (iter(a), iter(m[:2])), "differ in their number"),
        (lambda a, m: (3, m), "array"),
        (lambda a, m: (a, None), "masks must be one too, but they are missing"),
        (lambda a, m: (a, iter(m)), "masks must be one too, but they are an iterator"),
        (lambda a, m: ("maps.npy", m), r"first has shape \(\)"),
        (lambda a, m: ([[[0.1, 0.2], [0.3]]], m[:1]), "differ in length"),
        (lambda a, m: (a.astype(complex), m), "real numbers"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(case, change, words):
    with pytest.raises(MetricInputError, match=words) as caught:
        pixel_metrics(*change(*case(0)))
    assert "\n" not in str(caught.value)


def test_a_dialect_that_reads_twice_refuses_an_iterator_and_unknown_names_list_the_known(case):
    maps, masks = case(0)
    with pytest.raises(MetricInputError, match="reads the maps again"):
        pixel_metrics(iter(maps), iter(masks), dialect="grid21")
    with pytest.raises(MetricInputError, match=", ".join(PIXEL_DIALECTS)):
        pixel_metrics(maps, masks, dialect="grid22")


def test_scores_at_the_ends_of_their_type_are_ranked_but_not_scaled(case):
    _, masks = case(0)
    ends = np.where(masks, np.finfo(np.float32).max, np.finfo(np.float32).min)
    assert pixel_metrics(ends, masks)["auroc"] == 1.0
    with pytest.raises(MetricInputError, match="range of the maps overflows float32"):
        pixel_metrics(ends, masks, dialect="grid21-minmax")


def test_the_bundle_of_a_repository_makes_all_of_its_choices_at_once(case):
    maps, masks = case(0, shift=0.0)
    maps = maps / maps.max()
    bundle = Scoring(thresholds="grid21", ap="trapezoid", iou="image")
    ours = pixel_metrics(maps, masks, dialect=bundle)
    assert ours["f1_max"] == pixel_metrics(maps, masks, dialect="grid21")["f1_max"]
    assert ours["ap"] == pixel_metrics(maps, masks, dialect="trapezoid")["ap"]
    assert ours["iou"] == pixel_metrics(maps, masks)["iou_per_image_oracle"]
