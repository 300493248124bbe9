"""Values do not depend on how many threads the BLAS has: equal predictions have equal scores anywhere."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bench.metrics import fid, inception_score, kid, pixel_metrics
from bench.metrics.bootstrap import bootstrap_mean, resample_counts
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics
from bench.metrics.mask_agreement import nearest_normal
from bench.metrics.one_thread import on_one_blas_thread

RNG = np.random.default_rng(0)
MASKS = np.zeros((6, 160, 160), bool)
MASKS[::2, 20:100, 30:120] = True
MAPS = (RNG.normal(size=MASKS.shape) + MASKS).astype(np.float32)
COUNTS = resample_counts(6, 300, np.random.default_rng(1), MASKS.any(axis=(1, 2)))
PROBABILITIES = RNG.dirichlet(np.ones(21_000), size=20)
IMAGES = RNG.integers(256, size=(37, 24, 24, 3), dtype=np.uint8)
SIZES = ((78, 19, 2048), (32, 340, 320), (289, 312, 320), (322, 142, 320), (110, 63, 2048))
"""Numbers of images and features at which OpenBLAS cuts a product unevenly."""
SETS = [(RNG.random((n, width)), RNG.random((m, width))) for n, m, width in SIZES]


@pytest.mark.parametrize(
    "metric",
    [
        lambda: list(pixel_metrics(MAPS, MASKS).values()),
        lambda: list(pixel_metrics(MAPS.astype(np.float64), MASKS, dialect="trapezoid").values()),
        lambda: list(bootstrap_pixel_metrics(MAPS, MASKS, COUNTS).replicates.values()),
        lambda: bootstrap_mean(np.linspace(0, 1, 6) ** 2, COUNTS),
        lambda: inception_score(PROBABILITIES, 1).value,
        lambda: [kid(x, y).value for x, y in SETS],
        lambda: [kid(x, y, "subset", subset_size=15).value for x, y in SETS],
        lambda: [fid(x, y) for x, y in SETS],
        lambda: nearest_normal(IMAGES, IMAGES[::-1]),
    ],
    ids=("pixel", "trapezoid", "bootstrap", "mean", "IS", "KID", "KID of subsets", "FID", "nearest normal"),
)
def test_one_two_and_four_threads_give_the_same_bits(metric: Callable[[], Any]) -> None:
    values = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            values.append(np.concatenate([np.ravel(value) for value in np.atleast_1d(metric())]).tobytes())
    assert values[0] == values[1] == values[2]


def test_calls_that_overlap_keep_one_thread_until_the_last_has_ended() -> None:
    def blas_threads() -> int:
        return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    inner = on_one_blas_thread(lambda: None)

    def outer() -> int:
        inner()
        return blas_threads()

    with threadpool_limits(2, user_api="blas"):
        assert on_one_blas_thread(outer)() == 1
        assert blas_threads() == 2
