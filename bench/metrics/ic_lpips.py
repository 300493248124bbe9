"""IC-LPIPS: how different the generated images are that lie nearest to the same real one.

Ojha et al. 2021, section 4.1 (intra-cluster LPIPS). Each generated image joins the cluster of the real image
(centre) to which its LPIPS distance is smallest; a cluster's value is the mean distance over all pairs of
its members; the metric is the mean over clusters.

LPIPS is a squared Euclidean distance of features g (`bench.features.unit_features`), so with d_i the distance
of member i to its centre c and S = sum_i (g_i - c)

    mean over pairs = 2 (n sum_i d_i - |S|^2) / (n (n - 1))

which is linear in the images: one forward per image, no pairs, and a state of k sums.

Dialects (docs/explanation/disagreements.md, D3 to D8 and D31):

    default        all members; clusters of fewer than two dropped and counted; a tie goes to the first centre
    ojha           50 random members per cluster (seeded here); small clusters dropped; ties to the last
                   centre; also the rule of AnomalyDiffusion's family
    seas           the first 140 members; small clusters count as 0; centres fed as 0..255, and read from
                   their files by the nearest pixel (give them in the files' size); LPIPS vgg
    dfmgan         the first 200 members; otherwise as seas; LPIPS alex
    anomalyhybrid  centres are held-out images of the type, at most 100 (give them as `real`); else default.
                   The text leaves open whether a group is of a type or a product; this reads type.

IC-LPIPS(a) is the same on images multiplied by their masks (`masks`). With `embedded-stages` features the
number is no LPIPS and is named by them.

Precision: features float32, differences summed in float64; 1e-5 relative of the lpips package over every
pair with the same weights (tests/metrics/test_ic_lpips.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.metrics.inputs import (
    MetricInputError,
    UndefinedMetricError,
    image_array,
    require_choice,
    truth_array,
)
from bench.metrics.lpips import mean_over_pairs

if TYPE_CHECKING:
    import torch

    from bench.features import Profile

Stages = Sequence["torch.Tensor"]


@dataclass(frozen=True)
class IcLpipsDialect:
    """One repository's rule. cap: most members per cluster; zeros_kept: small clusters count as 0."""

    network: str = "lpips-vgg"
    cap: int | None = None
    random_members: bool = False
    zeros_kept: bool = False
    last_on_tie: bool = False
    centres_scaled: bool = True
    centres_nearest: bool = False
    """Whether centres that are larger than the generated images are resized by the nearest pixel."""
    most_centres: int | None = None


IC_LPIPS_DIALECTS = {
    "default": IcLpipsDialect(),
    "ojha": IcLpipsDialect(cap=50, random_members=True, last_on_tie=True),
    "seas": IcLpipsDialect(cap=140, zeros_kept=True, centres_scaled=False, centres_nearest=True),
    "dfmgan": IcLpipsDialect(network="lpips-alex", cap=200, zeros_kept=True, centres_scaled=False),
    "anomalyhybrid": IcLpipsDialect(most_centres=100),
}


@dataclass(frozen=True)
class IcLpips:
    """The metric, and what its clusters hold."""

    value: float
    clusters: int
    """One per centre."""
    empty: int
    """Clusters without a member."""
    single: int
    """Clusters with one member, and so without a pair."""
    members: tuple[int, ...]
    """Of each cluster, the number of images whose pairs were measured."""
    assigned: tuple[int, ...]
    """Of each cluster, the number of all images that joined it."""
    cluster_values: tuple[float | None, ...]
    """Of each cluster, the mean distance of its pairs; None where it has none."""
    dialect: str
    network: str
    """Whose features were used."""

    @property
    def counted(self) -> tuple[float, ...]:
        """The cluster values that the mean is over; zeros for small clusters where the dialect keeps them."""
        if IC_LPIPS_DIALECTS[self.dialect].zeros_kept:
            return tuple(v or 0.0 for v in self.cluster_values)
        return tuple(v for v in self.cluster_values if v is not None)


class IcLpipsAccumulator:
    """Streams features of generated images; keeps the centres and one float64 sum per centre.

    centres: stage tensors [k, D_s] of the real images (`Profile.perceptual`), on the device to work on.
    Feed images in `stream_order`: where the dialect caps clusters, the first come are kept.
    """

    def __init__(self, centres: Stages, dialect: str = "default", network: str = "lpips-vgg") -> None:
        import torch

        require_choice(dialect, IC_LPIPS_DIALECTS, "IC-LPIPS dialect")
        if not centres or len(centres[0]) == 0:
            raise MetricInputError("IC-LPIPS needs at least one real image as a centre")
        self.dialect, self.network = dialect, network
        self.rule = IC_LPIPS_DIALECTS[dialect]
        self.centres = [stage.float() for stage in centres]
        clusters = len(self.centres[0])
        # distances are taken about the centres' mean: far fewer digits cancel than about the origin
        self.middle = [stage.mean(dim=0) for stage in self.centres]
        self.norms = sum(  # an image at a time: differences of all would be as large as the centres
            torch.stack([(row - mean).square().sum(dtype=torch.float64) for row in stage])
            for stage, mean in zip(self.centres, self.middle, strict=True)
        )
        # one block, which lies outside the heap: a block a stage would keep freed activations from reuse
        widths = [stage.shape[1] for stage in self.centres]
        sums = torch.zeros(clusters, sum(widths), dtype=torch.float64, device=self.centres[0].device)
        self.sums = sums.split(widths, dim=1)
        self.distances = np.zeros(clusters)
        self.members = np.zeros(clusters, np.int64)
        self.assigned = np.zeros(clusters, np.int64)

    def update(self, features: Stages) -> np.ndarray:
        """Adds a batch of stage tensors [B, D_s]; returns the cluster of each image, int64 [B]."""
        import torch

        if [f.shape[1:] for f in features] != [c.shape[1:] for c in self.centres]:
            raise MetricInputError(
                "generated and real images differ in size or network, so they have no distance"
            )
        with torch.inference_mode():
            clusters = self._nearest(features)
            for image, cluster in enumerate(clusters):
                self.assigned[cluster] += 1
                if self.rule.cap is not None and self.members[cluster] >= self.rule.cap:
                    continue
                self.members[cluster] += 1
                squared = 0.0
                for stage, centre, total in zip(features, self.centres, self.sums, strict=True):
                    gap = stage[image] - centre[cluster]
                    squared += float(torch.linalg.vector_norm(gap, dtype=torch.float64)) ** 2
                    total[cluster] += gap
                if not np.isfinite(squared):
                    raise MetricInputError(
                        "perceptual features hold NaN or infinities; look at images and weights"
                    )
                self.distances[cluster] += squared
        return clusters

    def _nearest(self, features: Stages) -> np.ndarray:
        cross: Any = 0.0
        for stage, centre, mean in zip(features, self.centres, self.middle, strict=True):
            # |g - c|^2 = |g|^2 - 2 g.c + |c|^2 about the mean m; |g|^2 is the same for every centre
            moved = stage - mean
            cross = cross + (moved @ (centre - mean).T).double()
        scores = (self.norms - 2.0 * cross).cpu().numpy()
        if not np.isfinite(scores).all():
            raise MetricInputError("perceptual features hold NaN or infinities; look at images and weights")
        if self.rule.last_on_tie:
            return scores.shape[1] - 1 - scores[:, ::-1].argmin(axis=1)
        return scores.argmin(axis=1)

    def result(self) -> IcLpips:
        """The metric over what was streamed. Raises UndefinedMetricError where no cluster has a pair."""
        values: list[float | None] = []
        for cluster, n in enumerate(self.members):
            if n < 2:
                values.append(None)
                continue
            drift = sum(float(total[cluster].dot(total[cluster])) for total in self.sums)
            values.append(mean_over_pairs(int(n), float(self.distances[cluster]), drift))
        result = IcLpips(
            value=0.0,
            clusters=len(values),
            empty=int((self.assigned == 0).sum()),
            single=int((self.assigned == 1).sum()),
            members=tuple(int(n) for n in self.members),
            assigned=tuple(int(n) for n in self.assigned),
            cluster_values=tuple(values),
            dialect=self.dialect,
            network=self.network,
        )
        if not result.counted:
            raise UndefinedMetricError(
                "no cluster has two generated images, so IC-LPIPS has no pair to measure"
            )
        return replace(result, value=float(np.mean(result.counted)))


def stream_order(count: int, dialect: str = "default", seed: int = 0) -> np.ndarray:
    """The order in which to stream generated images: seeded random where the dialect draws members."""
    if IC_LPIPS_DIALECTS[dialect].random_members:
        return np.random.default_rng(seed).permutation(count)
    return np.arange(count)


def ic_lpips(
    generated: Any,
    real: Any,
    *,
    features: str | None = None,
    dialect: str = "default",
    masks: tuple[Any, Any] | None = None,
    profile: Profile | None = None,
    seed: int = 0,
    batch: int = 8,
) -> IcLpips:
    """IC-LPIPS of generated images against the real images of the same defect type.

    generated, real: uint8 RGB [N, H, W, 3] and [k, H, W, 3] of one size (papers use 256 x 256).
    For the dialect `seas` the real images may have the size of their files, [k, H', W', 3].
    features: lpips-vgg | lpips-alex | embedded-stages; None takes the dialect's own (lpips-vgg; dfmgan
    lpips-alex). masks: (of generated, of real) bool [., H, W], for IC-LPIPS(a). profile: an open feature
    profile to use. seed: of the random members of `ojha`. batch: images per forward.
    Raises MetricInputError, UndefinedMetricError (no pair), WeightsMissingError.

    Precision: see the module.
    """
    require_choice(dialect, IC_LPIPS_DIALECTS, "IC-LPIPS dialect")
    rule = IC_LPIPS_DIALECTS[dialect]
    network = features or rule.network
    generated_images, real_images = image_array(generated, "generated"), image_array(real, "real")
    if rule.centres_nearest and masks is None:
        height, width = generated_images.shape[1:3]
        rows = np.arange(height) * real_images.shape[1] // height
        columns = np.arange(width) * real_images.shape[2] // width
        real_images = real_images[:, rows][:, :, columns]
    if generated_images.shape[1:] != real_images.shape[1:]:
        raise MetricInputError(
            f"generated {generated_images.shape} and real {real_images.shape} images differ in size; "
            "resize to one (papers: 256)"
        )
    made_masks, true_masks = _mask_pair(masks, generated_images, real_images)
    if batch < 1:
        raise MetricInputError(f"batch must be at least 1 image, not {batch}")
    if rule.most_centres is not None and len(real_images) > rule.most_centres:
        chosen = np.sort(
            np.random.default_rng(seed).choice(len(real_images), rule.most_centres, replace=False)
        )
        real_images = real_images[chosen]
        true_masks = None if true_masks is None else true_masks[chosen]
    if profile is None:
        profile = _profile_of(network)
    centres = perceptual_features(
        profile, network, multiplied(real_images, true_masks), batch, scaled=rule.centres_scaled
    )
    stream = IcLpipsAccumulator(centres, dialect, network)
    order = stream_order(len(generated_images), dialect, seed)
    for start in range(0, len(generated_images), batch):
        rows = (
            np.sort(order[start : start + batch]) if not rule.random_members else order[start : start + batch]
        )
        part = None if made_masks is None else made_masks[rows]
        stream.update(profile.perceptual(multiplied(generated_images[rows], part), network))
    return stream.result()


def _mask_pair(
    masks: Any, generated: np.ndarray, real: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(of generated, of real), bool, checked against their images before any forward."""
    if masks is None:
        return None, None
    if not isinstance(masks, tuple | list) or len(masks) != 2:
        raise MetricInputError("masks must be a pair: those of generated images, those of real images")
    sides = (("generated", masks[0], generated), ("real", masks[1], real))
    first, second = (
        _fitting(truth_array(side_masks, f"{name} masks"), images) for name, side_masks, images in sides
    )
    return first, second


def multiplied(images: np.ndarray, masks: Any) -> np.ndarray:
    """Images with everything outside their masks black; as they are where masks is None."""
    if masks is None:
        return images
    return images * _fitting(truth_array(masks, "masks"), images)[..., None]


def _fitting(masks: np.ndarray, images: np.ndarray) -> np.ndarray:
    if masks.shape != images.shape[:3]:
        raise MetricInputError(f"masks {masks.shape} do not fit images {images.shape}")
    return masks


def perceptual_features(
    profile: Profile, network: str, images: np.ndarray, batch: int, *, scaled: bool = True
) -> list[torch.Tensor]:
    """Stage tensors [N, D_s] of all images at once."""
    stages: list[torch.Tensor] = []
    for start in range(0, len(images), batch):
        part = profile.perceptual(images[start : start + batch], network, scaled=scaled)
        if not stages:  # to join the parts in the end would take the memory twice
            stages = [batch_stage.new_empty(len(images), batch_stage.shape[1]) for batch_stage in part]
        for stage, batch_stage in zip(stages, part, strict=True):
            stage[start : start + batch] = batch_stage
    return stages


def _profile_of(network: str) -> Profile:
    from bench.features import profile

    return profile("embedded" if network.startswith("embedded") else "canonical")
