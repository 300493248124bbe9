"""Three ways to count, by numba, by numpy and by a sort: the same integers from arrays, lists and streams."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.metrics.inputs import MetricInputError, UndefinedMetricError
from bench.metrics.ranking import tally_of
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.tally import Tally


def assert_same(maps, masks, stream=False):
    def counted(maps, compiled):
        source = MapChunks(iter(maps), iter(masks)) if stream else MapChunks(maps, masks, chunk=2)
        return tally_of(source, compiled=compiled)

    sorts = counted(maps.astype(np.float64), compiled=False)
    for ours in (counted(maps, compiled=True), counted(maps, compiled=False)):
        for name in ("thresholds", "tp", "fp", "fp_above"):
            np.testing.assert_array_equal(getattr(ours.tally, name), getattr(sorts.tally, name), err_msg=name)
        assert (ours.tally.positives, ours.tally.negatives) == (sorts.tally.positives, sorts.tally.negatives)
        np.testing.assert_allclose(ours.tally.overlap, sorts.tally.overlap, atol=1e-12)
        np.testing.assert_array_equal(ours.best_iou, sorts.best_iou)
        assert ours.regions == sorts.regions


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("decimals", [0, 1, 3, None])
def test_all_count_alike(case, decimals, stream):
    for seed in range(6):
        assert_same(*case(seed, decimals=decimals, side=30), stream=stream)


tricky = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 2.0**-149, -(2.0**-149), 1.0, 1.0000001, -1.0, 3.4e38, -3.4e38]
)


@settings(deadline=None, max_examples=200)
@given(st.data(), st.booleans())
def test_all_count_alike_at_any_float32_scores_and_any_masks(data, stream):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9))
    maps = data.draw(hnp.arrays(np.float32, shape, elements=tricky))
    masks = data.draw(hnp.arrays(bool, shape))
    if masks.any() and not masks.all():
        assert_same(maps, masks, stream)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_large_partitions_are_counted_by_counters_and_small_ones_by_a_sort(scale):
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 160, 160), bool)
    masks[:2, 30:70, 40:100] = rng.random((2, 40, 60)) < 0.8  # regions of many shapes
    maps = (rng.beta(1, 6, masks.shape) + 0.4 * masks * rng.random(masks.shape)).astype(np.float32)
    assert_same(maps * np.float32(scale), masks)
    assert_same((maps * np.float32(scale) * 64).round() / 64, masks, stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_counts_of_blocks_add_up(case, stream, monkeypatch):
    monkeypatch.setattr("bench.metrics.ranking.kernels_numpy._BLOCK", 100)
    assert_same(*case(1, side=30), stream=stream)


def test_half_precision_maps_take_the_compiled_path_exactly(case):
    maps, masks = case(3, side=40)
    assert_same(maps.astype(np.float16), masks)


def test_double_precision_maps_have_no_compiled_path(case):
    maps, masks = case(3)
    with pytest.raises(TypeError, match="float32"):
        tally_of(MapChunks(maps.astype(np.float64), masks), compiled=True)


PIXELS = """
import sys, numpy as np
from bench.metrics import pixel_metrics, ranking
ranking.COMPILED_FROM = {limit}
rng = np.random.default_rng(0)
masks = rng.random((2, 9, 9)) < .3
print(pixel_metrics(rng.random((2, 9, 9)).astype('f4'), masks)['auroc'], 'numba' in sys.modules)
"""


def test_numba_counts_large_maps_alone_and_can_be_switched_off():
    results = [
        subprocess.run(
            [sys.executable, "-c", PIXELS.format(limit=limit)],
            capture_output=True,
            text=True,
            check=True,
            env={"DEFECTBENCH_NUMBA": switch, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.split()
        for limit, switch in ((1, "1"), (1, "0"), (1 << 23, "1"))
    ]
    assert [used for _, used in results] == ["True", "False", "False"]
    assert len({value for value, _ in results}) == 1


def test_a_stream_may_fill_one_buffer_again_and_again(case):
    maps, masks = case(2, side=30)
    buffer = np.empty_like(maps[0])

    def refilled():
        for amap, mask in zip(maps, masks, strict=True):
            buffer[:] = amap
            yield buffer, mask

    streamed = tally_of(MapChunks(refilled()), compiled=True)
    np.testing.assert_array_equal(streamed.tally.fp, tally_of(MapChunks(maps, masks)).tally.fp)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("positive", [False, True])
def test_no_path_takes_a_score_that_is_not_finite(case, compiled, bad, positive):
    maps, masks = case(1, side=20)
    maps[tuple(np.argwhere(masks == positive)[7])] = np.float32(bad)
    with pytest.raises(MetricInputError, match=r"NaN|infinite"):
        tally_of(MapChunks(maps, masks), compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("every", "missing"), [(True, "negative"), (False, "positive")])
def test_no_path_takes_masks_of_one_class(case, compiled, every, missing):
    maps, masks = case(1, side=20)
    with pytest.raises(UndefinedMetricError, match=f"no {missing}"):
        tally_of(MapChunks(maps, np.full_like(masks, every)), compiled=compiled)
    stream = ((amap, np.full_like(mask, every)) for amap, mask in zip(maps, masks, strict=True))
    with pytest.raises(UndefinedMetricError, match=f"no {missing}"):
        tally_of(MapChunks(stream), compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True])
def test_images_of_a_stream_may_differ_in_size(case, compiled, monkeypatch):
    monkeypatch.setattr("bench.metrics.ranking.count_float32.PIXELS_A_CHUNK", 4000)  # the largest come alone
    parts = [case(seed, side=side) for seed, side in enumerate((20, 21, 70, 21, 20, 20))]
    images = [pair for maps, masks in parts for pair in zip(maps, masks, strict=True)]
    streamed = tally_of(MapChunks(iter(images)), compiled=compiled)
    truth = np.concatenate([mask.ravel() for _, mask in images])
    whole = Tally.of(np.concatenate([amap.ravel() for amap, _ in images]), truth)
    for name in ("thresholds", "tp", "fp", "fp_above"):
        np.testing.assert_array_equal(getattr(streamed.tally, name), getattr(whole, name), err_msg=name)
    assert len(streamed.best_iou) == sum(mask.any() for _, mask in images)


def test_where_nothing_can_be_written_the_loops_are_compiled_without_a_cache(monkeypatch):
    from numba.core import caching

    from bench.metrics.ranking.compiled import compiled

    monkeypatch.setattr(caching.FunctionCache._impl_class, "_locator_classes", [])

    @compiled()
    def twice(number):
        return number + number

    assert twice(21) == 42
