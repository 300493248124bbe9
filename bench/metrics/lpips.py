"""LPIPS between generated images: the mean perceptual distance over all pairs, how varied they are.

    LPIPS = 2 / (n (n - 1)) * sum_{i < j} |g_i - g_j|^2

with g the features in which LPIPS is a squared Euclidean distance (`bench.features.unit_features`). With d_i
the squared distance of image i to any fixed point c, and S = sum_i (g_i - c), the sum over pairs is
n sum_i d_i - |S|^2. So one forward per image serves all pairs (499,500 of 1,000 images), exactly; c is the
first image, so that few digits cancel. The error is a jackknife over ten groups of images, whose sums are
kept apart.

Not LPIPS to real images, and not within clusters (`ic_lpips`): a generator that copies ten training images
in turn scores high. With `embedded-stages` features the number is not LPIPS and is named by them.

Precision: features float32, sums float64; 1e-6 relative of every pair (tests/metrics/test_lpips.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.metrics.estimate import Estimate
from bench.metrics.inputs import MetricInputError, UndefinedMetricError, image_array

if TYPE_CHECKING:
    import torch

Stages = Sequence["torch.Tensor"]
GROUPS = 10


class LpipsAccumulator:
    """Streams features of images; keeps the first image, and of each group a number and one float64 sum."""

    def __init__(self, groups: int = GROUPS) -> None:
        self.groups = groups
        self.counts = np.zeros(groups, np.int64)
        self.squares = np.zeros(groups)
        self.first: list[torch.Tensor] = []
        self.sums: list[torch.Tensor] = []

    def update(self, features: Stages) -> None:
        """Add a batch of stage tensors [B, D_s], as `Profile.perceptual` gives them."""
        import torch

        if not self.first:
            self.first = [stage[0].clone() for stage in features]
            self.sums = [
                stage.new_zeros(self.groups, stage.shape[1], dtype=torch.float64) for stage in features
            ]
        if [stage.shape[1:] for stage in features] != [stage.shape for stage in self.first]:
            raise MetricInputError("images differ in size or network, so they have no distance")
        with torch.inference_mode():
            for image in range(len(features[0])):
                group = int(self.counts.sum()) % self.groups
                self.counts[group] += 1
                squared = 0.0
                for stage, first, total in zip(features, self.first, self.sums, strict=True):
                    gap = stage[image] - first
                    squared += float(torch.linalg.vector_norm(gap, dtype=torch.float64)) ** 2
                    total[group] += gap
                if not np.isfinite(squared):
                    raise MetricInputError(
                        "perceptual features hold NaN or infinities; look at images and weights"
                    )
                self.squares[group] += squared

    def result(self) -> Estimate:
        """The mean over all pairs of what was streamed. Raises UndefinedMetricError below two images."""
        n = int(self.counts.sum())
        if n < 2:
            raise UndefinedMetricError("one image has no pair, so LPIPS has nothing to measure")
        value = self._without(None)
        used = np.flatnonzero(self.counts)
        if len(used) < 3 or n - self.counts.max() < 2:  # too few to leave a group out
            return Estimate(value, float("nan"), "", n)
        left_out = np.array([self._without(int(group)) for group in used])
        error = np.sqrt((len(used) - 1) / len(used) * np.sum((left_out - left_out.mean()) ** 2))
        return Estimate(value, float(error), f"jackknife over {len(used)} groups of images", n)

    def _without(self, group: int | None) -> float:
        """The mean over the pairs of all images but those of a group."""
        n, squares = int(self.counts.sum()), float(self.squares.sum())
        if group is not None:
            n, squares = n - int(self.counts[group]), squares - float(self.squares[group])
        drift = 0.0
        for total in self.sums:
            rest = total.sum(dim=0) if group is None else total.sum(dim=0) - total[group]
            drift += float(rest.dot(rest))
        return mean_over_pairs(n, squares, drift)


def mean_over_pairs(n: int, squares: float, drift: float) -> float:
    """The mean squared distance over all pairs of n points.

    squares: the sum of their squared distances to one point; drift: the squared length of the sum of their
    differences to it.
    """
    return max(0.0, float(2.0 * (n * squares - drift) / (n * (n - 1))))


def lpips_all_pairs(images: Any, *, profile: Any, network: str | None = None, batch: int = 8) -> Estimate:
    """Mean perceptual distance over all pairs of uint8 RGB images [N, H, W, 3].

    profile, network: as for `ic_lpips`. Raises MetricInputError, UndefinedMetricError (one image).

    Precision: see the module.
    """
    array = image_array(images, "generated")
    stream = LpipsAccumulator()
    for start in range(0, len(array), batch):
        stream.update(profile.perceptual(array[start : start + batch], profile.network_name(network)))
    return stream.result()
