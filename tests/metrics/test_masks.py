"""Mask binarisation and resizing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from bench.metrics import MASK_DIALECTS, MetricInputError, binarise_mask, prepare_masks


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (np.array([[0, 127, 128, 255]], np.uint8), [0, 0, 1, 1]),
        (np.array([[0, 1, 1, 1]], np.uint8), [0, 1, 1, 1]),
        (np.array([[0, 1, 2, 5]], np.uint8), [0, 1, 1, 1]),  # ids, as in VisA
        (np.array([[0, 32767, 32768, 65535]], np.uint16), [0, 0, 1, 1]),
        (np.array([[0, 1, 2, 3]], np.uint16), [0, 1, 1, 1]),
        (np.array([[0, 100, 200, 255]], np.int32), [0, 0, 1, 1]),
        (np.array([[0, 0.4, 0.6, 1.0]]), [0, 0, 1, 1]),
        (np.array([[False, True, True, False]]), [0, 1, 1, 0]),
        (np.zeros((1, 4), np.uint8), [0, 0, 0, 0]),
    ],
)
def test_levels_above_half_the_range_or_any_id_are_defect(raw, expected):
    assert binarise_mask(raw)[0].tolist() == [bool(v) for v in expected]


def exact_share(mask, size):
    """Coverage of every output cell as a fraction, by overlapping intervals."""

    def overlaps(source, target, cell):
        lo, hi = Fraction(cell * source, target), Fraction((cell + 1) * source, target)
        return [max(Fraction(0), min(hi, p + 1) - max(lo, p)) for p in range(source)]

    height, width = mask.shape
    out = np.empty(size, object)
    for y, x in np.ndindex(size):
        rows, columns = overlaps(height, size[0], y), overlaps(width, size[1], x)
        covered = sum(rows[j] * columns[i] for j, i in np.argwhere(mask))
        out[y, x] = covered / (sum(rows) * sum(columns))
    return out


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_the_default_marks_cells_that_are_more_than_half_covered_at_any_ratio(h, w, oh, ow, seed):
    mask = np.random.default_rng(seed).random((h, w)) < 0.5
    share = exact_share(mask, (oh, ow)) if mask.any() else np.zeros((oh, ow))
    assert (prepare_masks(mask, (oh, ow)) == (share > Fraction(1, 2))).all()
    assert (prepare_masks(mask, (oh, ow), rule="nonzero") == (share > 0)).all()
    assert (prepare_masks(mask, (oh, ow), rule="truncate") == (share == 1)).all()


def test_nearest_takes_the_pixel_at_the_floor():
    mask = np.random.default_rng(0).random((10, 9)) < 0.5
    resized = functional.interpolate(torch.from_numpy(mask)[None, None].float(), size=(4, 5), mode="nearest")
    assert (prepare_masks(mask, (4, 5), filter="nearest") == resized[0, 0].numpy().astype(bool)).all()


def test_dialects_erode_and_dilate():
    raw = np.zeros((90, 90), np.uint8)
    raw[20:41, 30:52] = 255
    area = {name: prepare_masks(raw, 32, filter=f, rule=r).sum() for name, (f, r) in MASK_DIALECTS.items()}
    assert area["truncate-antialias"] < area["truncate"] < area["default"]
    assert area["default"] < area["nonzero"] < area["nonzero-antialias"]


def test_stacks_lists_and_one_mask_agree():
    raw = (np.random.default_rng(0).random((3, 30, 20)) < 0.4).astype(np.uint8) * 255
    stack = prepare_masks(raw, (10, 12))
    assert stack.shape == (3, 10, 12)
    assert (prepare_masks(list(raw), (10, 12)) == stack).all()
    assert (prepare_masks(raw[1], (10, 12)) == stack[1]).all()
    assert prepare_masks(raw, np.int64(8)).shape == (3, 8, 8)
    assert prepare_masks([np.ones((4, 4), bool), np.ones((9, 5), bool)], 8).all()


def test_bad_masks_are_refused():
    with pytest.raises(MetricInputError, match="filter"):
        prepare_masks(np.ones((4, 4), bool), 2, filter="cubic")
    with pytest.raises(MetricInputError, match=r"\[H, W\]"):
        prepare_masks(np.ones(4, bool), 2)
    with pytest.raises(MetricInputError, match="at least 1"):
        prepare_masks(np.ones((4, 4), bool), (0, 2))
    with pytest.raises(MetricInputError, match="empty"):
        prepare_masks([], 2)
    for size in (4.0, (4, 4, 4), "8"):
        with pytest.raises(MetricInputError, match="one whole number"):
            prepare_masks(np.ones((4, 4), bool), size)
    with pytest.raises(MetricInputError, match="NaN"):
        prepare_masks(np.array([[np.nan]]), 2)


def test_half_or_most_keeps_the_cells_that_a_small_defect_covers_most_and_nothing_of_no_defect():
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = mask[1, 5:7] = True
    small = prepare_masks(mask, 2, rule="half-or-most")
    assert not prepare_masks(mask, 2).any()
    assert small.tolist() == [[False, True], [False, False]]
    mask[:4, :4] = True
    assert (prepare_masks(mask, 2, rule="half-or-most") == prepare_masks(mask, 2)).all()
    assert not prepare_masks(np.zeros((8, 8), bool), 2, rule="half-or-most").any()
