"""IS, KID and FID on arrays: formulas by loops, torch-fidelity's own functions, properties."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from bench.metrics import MetricInputError, UndefinedMetricError, fid, inception_score, kid
from bench.metrics.inception_score import splits_for


def two_sets(n=23, m=17, width=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)).astype(np.float32), rng.normal(0.7, 1.4, (m, width)).astype(np.float32)


def softmax(logits):
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()


# --- Inception Score -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "splits"), [(100, 10), (57, 10), (30, 1)])
def test_is_is_torch_fidelitys_with_the_same_shuffle_and_splits(count, splits):
    logits = np.random.default_rng(0).normal(0, 3, (count, 20)).astype(np.float32)
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=splits)
    ours = inception_score(softmax(logits), splits=splits)
    assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    if splits == 1:
        assert np.isnan(ours.error)  # torch-fidelity prints 0, as if one split could show a spread
        return
    assert ours.error == pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12)


def test_is_is_the_number_of_classes_when_each_image_is_sure_and_all_are_met_and_1_when_all_agree():
    assert inception_score(np.eye(7)[np.arange(70) % 7], splits=1).value == pytest.approx(7)
    assert inception_score(np.tile([0.2, 0.8], (50, 1))).value == pytest.approx(1)


def test_is_without_shuffle_follows_the_order():
    p = softmax(np.random.default_rng(1).normal(0, 2, (40, 5)))
    half = [np.exp(np.mean(np.sum(q * np.log(q / q.mean(axis=0)), axis=1))) for q in (p[:20], p[20:])]
    assert inception_score(p, splits=2, seed=None).value == pytest.approx(np.mean(half), rel=1e-12)


def test_few_images_have_few_splits_so_that_each_holds_ten():
    assert [splits_for(images) for images in (1, 9, 19, 20, 57, 99, 100, 1000)] == [1, 1, 1, 2, 5, 9, 10, 10]


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 40), (40, 2)])
def test_kid_of_two_images_on_a_side_has_no_error(n, m):
    draw = np.random.default_rng(0)
    assert np.isnan(kid(draw.normal(size=(n, 4)), draw.normal(size=(m, 4))).error)


def test_kid_over_subsets_that_are_all_the_whole_set_has_no_error():
    x = np.random.default_rng(0).normal(size=(12, 4))
    assert np.isnan(kid(x, x + 1, "subset").error)


def test_logits_too_few_images_and_nan_are_refused():
    with pytest.raises(MetricInputError, match="softmax"):
        inception_score(np.random.default_rng(0).normal(size=(20, 4)))
    with pytest.raises(UndefinedMetricError, match="19 images leave a split of 10 with one"):
        inception_score(np.full((19, 2), 0.5))
    with pytest.raises(MetricInputError, match="NaN"):
        inception_score(np.array([[0.5, np.nan]]))


# --- KID -------------------------------------------------------------------------------------------------


def kernel_loop(a, b):
    return (float(np.dot(a.astype(float), b.astype(float))) / len(a) + 1) ** 3


def unbiased_loop(x, y):
    within = [
        np.mean([kernel_loop(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j])
        for s in (x, y)
    ]
    return sum(within) - 2 * np.mean([kernel_loop(a, b) for a in x for b in y])


def test_the_unbiased_estimator_is_the_mean_over_all_pairs():
    x, y = two_sets()
    assert kid(x, y).value == pytest.approx(unbiased_loop(x, y), rel=1e-12)


def test_its_error_is_the_jackknife_over_the_images_of_both_sets():
    x, y = two_sets(9, 7)
    parts = []
    for s, other, first in ((x, y, True), (y, x, False)):
        values = [np.delete(s, i, axis=0) for i in range(len(s))]
        values = [unbiased_loop(v, other) if first else unbiased_loop(other, v) for v in values]
        parts.append((len(s) - 1) / len(s) * np.sum((np.array(values) - np.mean(values)) ** 2))
    estimate = kid(x, y)
    assert estimate.error == pytest.approx(np.sqrt(sum(parts)), rel=1e-9)
    assert estimate.n == 16


@pytest.mark.parametrize("size", [10, 17])
def test_the_subset_estimator_is_torch_fidelitys_on_the_same_subsets(size):
    x, y = two_sets()
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=50, kid_subset_size=size, verbose=False
    )
    ours = kid(x, y, "subset", subsets=50, subset_size=size)
    assert ours.value > 0.1
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    assert ours.error == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-5, abs=1e-9)


def test_what_is_left_of_the_difference_is_torch_fidelitys_float32():
    x, y = two_sets()
    doubles = torch.from_numpy(x).double(), torch.from_numpy(y).double()
    theirs = kid_features_to_metric(*doubles, kid_subsets=50, kid_subset_size=10, verbose=False)
    ours = kid(x, y, "subset", subsets=50, subset_size=10)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-12)


def test_subsets_of_everything_are_the_closed_form():
    x, y = two_sets(12, 12)
    assert kid(x, y, "subset").value == pytest.approx(kid(x, y).value, rel=1e-12)


def test_the_closed_form_is_what_subsets_scatter_around():
    x, y = two_sets(60, 40)
    many = kid(x, y, "subset", subsets=4000, subset_size=15)
    assert abs(many.value - kid(x, y).value) < 4 * many.error / np.sqrt(4000)


def test_kid_of_two_halves_of_one_set_scatters_around_zero():
    x = np.random.default_rng(0).normal(size=(400, 8))
    estimate = kid(x[:200], x[200:])
    assert abs(estimate.value) < 3 * estimate.error


def test_blocks_of_rows_do_not_change_kid(monkeypatch):
    x, y = two_sets()
    whole = kid(x, y), kid(x, y, "subset", subset_size=9)
    monkeypatch.setattr(import_module("bench.metrics.kid"), "ROWS_A_BLOCK", 5)
    for before, after in zip(whole, (kid(x, y), kid(x, y, "subset", subset_size=9)), strict=True):
        assert (after.value, after.error) == (pytest.approx(before.value), pytest.approx(before.error))


def test_kid_refuses_what_it_cannot_measure():
    x, y = two_sets()
    with pytest.raises(MetricInputError, match="8 features an image and y 5"):
        kid(x, y[:, :5])
    with pytest.raises(UndefinedMetricError, match="two images"):
        kid(x[:1], y)
    with pytest.raises(MetricInputError, match="subset_size 18"):
        kid(x, y, "subset", subset_size=18)
    with pytest.raises(MetricInputError, match="overflows"):
        kid(x.astype(float) * 1e60, y)
    with pytest.raises(MetricInputError, match="estimator"):
        kid(x, y, "biased")


# --- FID -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "width"), [(40, 50, 6), (50, 9, 6), (9, 8, 6), (30, 20, 20)])
def test_fid_is_the_formula_with_a_matrix_root(n, m, width):
    x, y = (s.astype(np.float64) for s in two_sets(n, m, width))
    gap = x.mean(axis=0) - y.mean(axis=0)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    reference = gap @ gap + np.trace(a) + np.trace(b) - 2 * np.trace(scipy.linalg.sqrtm(a @ b)).real
    assert fid(x, y) == pytest.approx(reference, rel=1e-9)


def test_fid_with_fewer_images_than_features_is_the_formula_in_the_space_they_span():
    x, y = two_sets(6, 5, 40)
    basis = np.linalg.qr(np.concatenate([x, y]).astype(np.float64).T)[0]
    assert fid(x, y) == pytest.approx(fid(x @ basis, y @ basis), rel=1e-9)


@pytest.mark.parametrize("rank", [3, 64, 200])
def test_fid_keeps_its_digits_whether_or_not_the_squares_of_its_singular_values_do(rank):
    rng = np.random.default_rng(rank)
    mix = rng.normal(
        size=(rank, 300)
    )  # below 199 the sets lie in a plane, where squares lose half the digits
    x, y = (rng.normal(size=(n, rank)) @ mix + shift for n, shift in ((200, 0.0), (220, 0.1)))
    a, b = ((s - s.mean(axis=0)) / np.sqrt(len(s) - 1) for s in (x, y))
    gap = x.mean(axis=0) - y.mean(axis=0)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    assert fid(x, y) == pytest.approx(gap @ gap + (a * a).sum() + (b * b).sum() - 2 * root, rel=1e-10)
    norm, bound = import_module("bench.metrics.fid")._nuclear_norm(a @ b.T)
    assert abs(norm - root) <= bound
    assert (bound > 1e-7 * root) == (rank < 199)


def test_fid_of_a_set_with_itself_is_zero_and_it_is_symmetric():
    x, y = two_sets()
    assert fid(x, x) == pytest.approx(0, abs=1e-9)
    assert fid(x, y) == pytest.approx(fid(y, x), rel=1e-12)
    assert fid(x, x + 2) == pytest.approx(4 * x.shape[1], rel=1e-5)
    with pytest.raises(MetricInputError, match="overflows"):
        fid(x.astype(np.float64) * 1e200, y)
    with pytest.raises(MetricInputError, match="overflows"):
        fid(np.full((5, 8), 1.7e308), y)


# --- properties ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 9), st.sampled_from([0.1, 3.0, 200.0]))
def test_is_lies_between_one_and_the_classes_and_sees_neither_their_names_nor_the_order(
    seed, classes, splits, sureness
):
    draw = np.random.default_rng(seed)
    p = softmax(draw.normal(0, sureness, (draw.integers(2 * splits, 40), classes)))
    value = inception_score(p, splits=splits).value
    assert 1 - 1e-12 <= value <= classes + 1e-9
    renamed = p[:, draw.permutation(classes)]
    assert inception_score(renamed, splits=splits).value == pytest.approx(value, rel=1e-10)
    shuffled = p[draw.permutation(len(p))]
    assert inception_score(shuffled, splits=1).value == pytest.approx(
        inception_score(p, splits=1).value, rel=1e-10
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 12), st.integers(1, 9), st.booleans())
def test_kid_and_fid_see_neither_order_nor_side_nor_a_turn_of_the_features(seed, n, m, width, tied):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(n, width)), draw.normal(0.5, 1.5, (m, width))
    if tied:  # images that are met twice
        x, y = x[draw.integers(0, n, n)], y[draw.integers(0, m, m)]
    turn = np.linalg.qr(draw.normal(size=(width, width)))[0]
    # of fewer images than features FID takes roots of zeros, which keep half their digits
    for metric, apart in ((fid, 1e-7), (lambda a, b: kid(a, b).value, 1e-9)):
        value = metric(x, y)
        apart *= max(1.0, abs(value))
        assert metric(x[::-1], y[draw.permutation(m)]) == pytest.approx(value, abs=apart)
        assert metric(y, x) == pytest.approx(value, abs=apart)
        assert metric(x @ turn, y @ turn) == pytest.approx(value, abs=apart)
    assert fid(x, y) >= -1e-7
    assert fid(x, x) == pytest.approx(0, abs=1e-6)
    shift = draw.normal(size=width)
    assert fid(x + shift, y + shift) == pytest.approx(fid(x, y), abs=1e-6)
