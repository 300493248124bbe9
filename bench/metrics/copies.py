"""Does a generator copy the images it was trained on, or images that it should never have seen?

For each generated image the perceptual distance (the features of IC-LPIPS) to its nearest real training
defect and to its nearest test image. A copy is nearer than real images are to their nearest: nearer than
the 1st percentile of the distances from each real image to the nearest other one. (Not of the distances of
all pairs: the nearest of many is nearer than a pair, so honest images would be accused.) What counts as a
copy is thus relative to how alike the real images are; of few real images it is the smallest distance, and
an honest image is nearer than that by chance about once in as many images as are real. Two real images have
one distance only, which is no distribution.

Not in the papers, which measure diversity within clusters only. Not a membership test: a generator that
never left its training images' neighbourhood without copying is not caught.

Precision: features float32, distances summed in float64; a distance of 0 comes out below 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.metrics.ic_lpips import perceptual_features
from bench.metrics.inputs import MetricInputError, UndefinedMetricError, image_array

if TYPE_CHECKING:
    import torch

    from bench.features import Profile

BYTES_A_BLOCK = 1 << 29
FEWEST_REAL = 3
"""Real images whose distances to their nearest can first differ."""


@dataclass(frozen=True)
class NearestReal:
    """to_train, to_test: distance to the nearest, float64 [N]; train_index, test_index: whose it is, int64
    [N] (test: None without test images). copy_distance: the 1st percentile of real_images' distances to their
    nearest. copies, leaks: share of generated images nearer than that to a training, to a test image.
    nearer_to_test: share whose nearest real image is a test image; about the share of test images among the
    real ones where the generator saw neither."""

    to_train: np.ndarray
    train_index: np.ndarray
    to_test: np.ndarray | None
    test_index: np.ndarray | None
    copy_distance: float
    copies: float
    leaks: float | None
    nearer_to_test: float | None
    real_images: int

    def closest(self, count: int = 8) -> list[tuple[int, str, int, float]]:
        """The `count` nearest pairs: (generated index, "train" or "test", real index, distance)."""
        sides = [("train", self.train_index, self.to_train)]
        if self.to_test is not None and self.test_index is not None:
            sides.append(("test", self.test_index, self.to_test))
        pairs = [
            (image, side, int(index), float(distance))
            for side, indices, distances in sides
            for image, (index, distance) in enumerate(zip(indices, distances, strict=True))
        ]
        return sorted(pairs, key=lambda pair: pair[3])[:count]


def nearest_real(
    generated: Any,
    train: Any,
    test: Any = None,
    *,
    profile: Profile,
    network: str | None = None,
    percentile: float = 1.0,
    batch: int = 8,
) -> NearestReal:
    """Nearest real image of every generated one, and the shares of copies and leaks.

    generated, train, test: uint8 RGB [N, H, W, 3] of one size; train: the real defects the generator was
    fitted on; test: held-out defects of the type. profile, network: as for `ic_lpips`.
    Raises MetricInputError; UndefinedMetricError where there are fewer than three real images.

    Precision: see the module.
    """
    generated_images, fitted = image_array(generated, "generated"), image_array(train, "train")
    real = fitted if test is None else np.concatenate([fitted, _same_size(image_array(test, "test"), fitted)])
    _same_size(generated_images, fitted)
    if len(real) < FEWEST_REAL:
        raise UndefinedMetricError(
            f"{len(real)} real images have {len(real) - 1} distance between them, so no copy can be told "
            f"from chance; {FEWEST_REAL} are needed"
        )
    name = profile.network_name(network)
    among_real = np.full((len(real), len(real)), np.nan)
    distances = np.empty((len(generated_images), len(real)))
    for columns, features in _blocks(profile, name, real, batch):
        among_real[:, columns] = pair_distances(profile, name, real, features, batch)
        distances[:, columns] = pair_distances(profile, name, generated_images, features, batch)
    np.fill_diagonal(among_real, np.inf)
    limit = float(np.percentile(among_real.min(axis=1), percentile))
    train_side, test_side = distances[:, : len(fitted)], distances[:, len(fitted) :]
    to_train, to_test = train_side.min(axis=1), test_side.min(axis=1) if test is not None else None
    return NearestReal(
        to_train=to_train,
        train_index=train_side.argmin(axis=1),
        to_test=to_test,
        test_index=None if to_test is None else test_side.argmin(axis=1),
        copy_distance=limit,
        copies=float(np.mean(to_train < limit)),
        leaks=None if to_test is None else float(np.mean(to_test < limit)),
        nearer_to_test=None if to_test is None else float(np.mean(to_test < to_train)),
        real_images=len(real),
    )


def pair_distances(
    profile: Profile, network: str, images: np.ndarray, features: list[torch.Tensor], batch: int
) -> np.ndarray:
    """Perceptual distances float64 [N, k] of images to the images behind the stage tensors [k, D_s]."""
    import torch

    middle = [stage.mean(dim=0) for stage in features]
    moved = [stage - mean for stage, mean in zip(features, middle, strict=True)]
    norms = sum(stage.square().sum(dim=1, dtype=torch.float64) for stage in moved)
    rows = []
    for start in range(0, len(images), batch):
        stages = profile.perceptual(images[start : start + batch], network)
        total: Any = norms
        for stage, mean, other in zip(stages, middle, moved, strict=True):
            centred = stage - mean
            total = (
                total
                + centred.square().sum(dim=1, dtype=torch.float64)[:, None]
                - 2.0 * (centred @ other.T).double()
            )
        rows.append(total.clamp(min=0.0).cpu().numpy())
    return np.concatenate(rows)


def _blocks(
    profile: Profile, network: str, images: np.ndarray, batch: int
) -> Iterator[tuple[slice, list[torch.Tensor]]]:
    one = sum(stage.shape[1] * 4 for stage in profile.perceptual(images[:1], network))
    step = max(1, BYTES_A_BLOCK // one)
    for start in range(0, len(images), step):
        columns = slice(start, min(start + step, len(images)))
        yield columns, perceptual_features(profile, network, images[columns], batch)


def _same_size(images: np.ndarray, as_these: np.ndarray) -> np.ndarray:
    if images.shape[1:] != as_these.shape[1:]:
        raise MetricInputError(
            f"images {images.shape} and {as_these.shape} differ in size; resize them to one"
        )
    return images
