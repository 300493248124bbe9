"""LPIPS over all pairs from sums, against every pair one by one."""

from itertools import combinations

import numpy as np
import pytest
import torch

from bench.metrics import MetricInputError, UndefinedMetricError
from bench.metrics.lpips import LpipsAccumulator


def stages(images: int, seed: int = 0) -> list[torch.Tensor]:
    """Features of two stages, as a profile gives them."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(images, width, generator=generator) for width in (40, 12)]


def streamed(features: list[torch.Tensor], batch: int = 3):
    distances = LpipsAccumulator()
    for start in range(0, len(features[0]), batch):
        distances.update([stage[start : start + batch] for stage in features])
    return distances.result()


def every_pair(features: list[torch.Tensor], rows: list[int]) -> float:
    joined = torch.cat(features, dim=1).double()
    return float(np.mean([(joined[a] - joined[b]).square().sum() for a, b in combinations(rows, 2)]))


@pytest.mark.parametrize("images", [2, 3, 11, 25])
def test_the_mean_is_that_over_every_pair(images):
    features = stages(images)
    estimate = streamed(features)
    assert estimate.value == pytest.approx(every_pair(features, list(range(images))), rel=1e-6)
    assert estimate.n == images


def test_the_error_is_a_jackknife_over_groups_of_images():
    features = stages(25)
    left_out = np.array(
        [every_pair(features, [row for row in range(25) if row % 10 != group]) for group in range(10)]
    )
    error = np.sqrt(9 / 10 * np.sum((left_out - left_out.mean()) ** 2))
    assert streamed(features).error == pytest.approx(error, rel=1e-5)


def test_copies_of_one_image_have_no_distance_and_no_error():
    features = [stage[:1].repeat(12, 1) for stage in stages(1)]
    estimate = streamed(features)
    assert (estimate.value, estimate.error) == (0.0, 0.0)


def test_one_image_has_no_pair():
    with pytest.raises(UndefinedMetricError, match="no pair"):
        streamed(stages(1))


def test_images_of_two_sizes_are_refused():
    distances = LpipsAccumulator()
    distances.update(stages(2))
    with pytest.raises(MetricInputError, match="differ in size"):
        distances.update([stage[:, :7] for stage in stages(2)])
