"""Crop&Paste: real defects are cut out and pasted onto normal images.

Lin, Cao, Zhu, Li: Few-shot defect segmentation leveraging abundant normal training samples through normal
background regularization and crop-and-paste operation, ICME 2021 (arXiv 2007.09438), the baseline
"Crop&Paste" in the tables of DFMGAN, AnomalyDiffusion and SeaS. No code of it is public. What is fixed is
that the region under the mask of a real defect is cropped and pasted as it is onto a normal image chosen at
random; the ranges of the geometric augmentation below are ours.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from PIL import Image
from pydantic import Field, model_validator
from scipy import ndimage

from bench.errors import BenchError, did_you_mean
from bench.methods import Anomalies, CategoryTrain, Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from generators.requests import requested_category

LARGE = 1 / 3
"""Share of the image's side from which on a defect is taken to belong where it was found."""
CANDIDATES = 64
"""Places that are compared where the surroundings decide."""
POINTS = 256
"""Pixels of the defect and of its surroundings that are looked at to compare places."""
RING = 5
"""Width in pixels of the surroundings of a defect, compared in the source and where it lands."""
CONTEXT = 2 * 8 + 1
"""Pixels round the defect that are cut out with it: what the widest feather and the ring need."""


class CropPasteParams(Params):
    """Defaults: a plain paste at a random place."""

    placement: Literal["anywhere", "same-place", "similar", "natural"] = Field(
        "anywhere",
        description="where a defect lands: at a uniformly random place; where it was; where its surroundings "
        "fit best of 80 random places; or natural: one that touches the border or spans a third of the image "
        "near where it was, others where they fit",
    )
    flip: bool = Field(True, description="mirror the defect, each axis with probability 1/2")
    rotation: float = Field(180.0, ge=0, le=180, description="turn by an angle in +- this, degrees")
    scale: tuple[float, float] = Field((0.8, 1.25), description="least and largest magnification")
    shift: float = Field(
        0.05, ge=0, le=0.5, description="largest shift of a defect that stays, as a share of the image's side"
    )
    feather: int = Field(
        0, ge=0, le=8, description="fade the pixels round the defect into the image: 0 over within 2x this"
    )
    match: Literal["none", "ring"] = Field(
        "none", description="ring: scale each channel so that the surroundings of the defect are as bright"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "CropPasteParams":
        if not 0.1 <= self.scale[0] <= self.scale[1] <= 4:
            raise ValueError("scale must be two numbers in order, between 0.1 and 4")
        return self


class Patch(NamedTuple):
    """A defect with its surroundings: image uint8 [h, w, 3], mask bool [h, w], its corner in the source.

    `edge` says for rows and for columns whether the defect touches the border of the source.
    """

    image: np.ndarray
    mask: np.ndarray
    y0: int
    x0: int
    edge: tuple[bool, bool]


class CropPaste(Generator):
    """Pastes real defects in new poses onto normal images."""

    name = "crop_paste"
    version = 1
    scope = "category"
    needs = frozenset({"normal", "anomalies", "masks", "types"})
    yields = frozenset({"anomaly", "mask", "type"})
    Params: ClassVar[type[Params]] = CropPasteParams
    presets = {
        "tiny": {},
        "quick": {"placement": "natural", "rotation": 30.0, "feather": 1, "match": "ring"},
    }
    params: CropPasteParams

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        """Write `sources.json`: which real defects of each type have a mask that is not empty."""
        usable = {
            category.name: {
                defect: [row for row, real in enumerate(reals) if real.mask.any()]
                for defect, reals in sorted(category.anomalies.items())
            }
            for category in data.categories.values()
        }
        if not any(rows for types in usable.values() for rows in types.values()):
            raise BenchError(
                "'crop_paste' needs real defects with masks, and every mask of the train split is empty "
                f"({', '.join(sorted(usable))}); check ground_truth"
            )
        (out / "sources.json").write_text(json.dumps(usable, indent=1, sort_keys=True))

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        category = requested_category(self.name, data, request)
        usable = json.loads((model / "sources.json").read_text()).get(category.name, {})
        sources = self._sources(category, request, usable)
        for index in request.indices:
            rng = ctx.rng(f"sample/{request.defect}", index)
            reals, row = sources[rng.integers(len(sources))]
            base = category.normal[int(rng.integers(len(category.normal)))]
            real = reals[row]
            stays = self._stays(real.mask)
            patch = self._pose(real.image, real.mask, stays, rng)
            y0, x0 = self._place(patch, base, stays, rng)
            image, mask = paste(base, patch, y0, x0, feather=self.params.feather, match=self.params.match)
            yield Sample(image, mask, base=base)

    def _sources(
        self, category: CategoryTrain, request: Request, usable: dict[str, list[int]]
    ) -> list[tuple[Anomalies, int]]:
        """The real defects of the requested type, of all types for "any"."""
        if request.defect != "any" and request.defect not in category.anomalies:
            raise BenchError(did_you_mean("defect", request.defect, category.anomalies, of=category.name))
        types = sorted(category.anomalies) if request.defect == "any" else [request.defect]
        sources = [(category.anomalies[defect], row) for defect in types for row in usable.get(defect, [])]
        if not sources:
            raise BenchError(
                f"'crop_paste' has nothing to paste: every training mask of '{request.defect}' of "
                f"'{category.name}' is empty; check ground_truth/{request.defect}"
            )
        return sources

    def _stays(self, mask: np.ndarray) -> bool:
        """Whether a defect is pasted where it was found, up to a small shift."""
        if self.params.placement != "natural":
            return self.params.placement == "same-place"
        rows, columns = span(mask)
        large = len(rows) >= LARGE * mask.shape[0] or len(columns) >= LARGE * mask.shape[1]
        return large or touches(mask) != (False, False)

    def _pose(self, image: np.ndarray, mask: np.ndarray, stays: bool, rng: np.random.Generator) -> Patch:
        """The defect cut out, mirrored, turned and scaled; one that vanishes by it stays as it was."""
        flips = rng.integers(2, size=2) if self.params.flip else np.zeros(2, dtype=int)
        angle = np.deg2rad(rng.uniform(-self.params.rotation, self.params.rotation))
        scale = np.exp(rng.uniform(*np.log(self.params.scale)))
        # Mirroring the whole image takes a defect at its left edge to its right edge, where it belongs too.
        steps = (slice(None, None, 1 - 2 * flips[0]), slice(None, None, 1 - 2 * flips[1]))
        patch = cut(image[steps], mask[steps])
        if self.params.placement == "natural" and touches(mask) != (False, False):
            return patch
        posed = transform(patch, angle=angle, scale=scale)
        return posed if posed.mask.any() else patch

    def _place(
        self, patch: Patch, base: np.ndarray, stays: bool, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Where the corner of the patch goes, negative where it reaches out of the image."""
        size = np.array(base.shape[:2])
        rows, columns = span(patch.mask)
        origin, limit = np.array([patch.y0, patch.x0]), self.params.shift * size * ~np.array(patch.edge)
        near = rng.integers(origin - limit.astype(int), origin + limit.astype(int) + 1, size=(CANDIDATES, 2))
        first, room = np.array([rows.start, columns.start]), size - (len(rows), len(columns))
        far = rng.integers(np.minimum(room, 0) - first, np.maximum(room, 0) - first + 1, size=(CANDIDATES, 2))
        fits = self.params.placement in ("similar", "natural")
        # On an aligned product a defect fits best near where it was: a quarter of the places are there.
        corners = near if stays else np.concatenate([far, near[: CANDIDATES // 4]]) if fits else far
        # The first place that shows nearly all of the defect, or of those the one that fits best.
        hidden = np.maximum(0, 0.9 - shown(patch, base, corners))
        cost = hidden * 1e4 + (mismatch(patch, base, corners) if fits else 0)
        y0, x0 = (int(corner) for corner in corners[np.argmin(cost)])
        if not patch.mask[overlap(patch.mask.shape, base.shape[:2], y0, x0)[1]].any():
            # A hollow mask larger than the image can miss it; one of its pixels then goes to the middle.
            points = np.argwhere(patch.mask)
            y0, x0 = (int(start) for start in size // 2 - points[rng.integers(len(points))])
        return y0, x0


def span(mask: np.ndarray) -> tuple[range, range]:
    """The rows and the columns of the bounding box of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return range(int(rows[0]), int(rows[-1]) + 1), range(int(columns[0]), int(columns[-1]) + 1)


def touches(mask: np.ndarray) -> tuple[bool, bool]:
    """Whether a mask touches the first or last row, and the first or last column."""
    return bool(mask[[0, -1]].any()), bool(mask[:, [0, -1]].any())


def cut(image: np.ndarray, mask: np.ndarray) -> Patch:
    """The bounding box of the mask with `CONTEXT` pixels round it; edge pixels are repeated outside."""
    rows, columns = span(mask)
    y = np.arange(rows.start - CONTEXT, rows.stop + CONTEXT)
    x = np.arange(columns.start - CONTEXT, columns.stop + CONTEXT)
    inside = np.ix_(np.clip(y, 0, mask.shape[0] - 1), np.clip(x, 0, mask.shape[1] - 1))
    region = np.zeros((len(y), len(x)), dtype=bool)
    region[CONTEXT:-CONTEXT, CONTEXT:-CONTEXT] = mask[rows.start : rows.stop, columns.start : columns.stop]
    return Patch(image[inside], region, int(y[0]), int(x[0]), touches(mask))


def transform(patch: Patch, *, angle: float, scale: float) -> Patch:
    """The patch turned by `angle` in radians and scaled about its centre; bilinear."""
    forward = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # (x, y)
    height, width = patch.mask.shape
    box_width, box_height = np.ceil(np.abs(forward) @ (width, height)).astype(int)
    back = np.linalg.inv(forward)
    offset = np.array([width, height]) / 2 - back @ (np.array([box_width, box_height]) / 2)
    affine = (*back[0], offset[0], *back[1], offset[1])

    def warp(pixels: np.ndarray) -> np.ndarray:
        moved = Image.fromarray(pixels).transform(
            (int(box_width), int(box_height)), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        return np.asarray(moved)

    image, mask = warp(patch.image), warp(patch.mask.view(np.uint8) * 255) > 127
    y0 = patch.y0 + (height - int(box_height)) // 2
    return Patch(image, mask, y0, patch.x0 + (width - int(box_width)) // 2, patch.edge)


def overlap(
    patch: tuple[int, ...], size: tuple[int, int], y0: int, x0: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the image and of the patch where the two meet; empty where they do not."""
    in_image, in_patch = [], []
    for length, side, start in zip(patch, size, (y0, x0), strict=True):
        low, high = max(0, start), max(0, start, min(side, start + length))
        in_image.append(slice(low, high))
        in_patch.append(slice(low - start, high - start))
    return (in_image[0], in_image[1]), (in_patch[0], in_patch[1])


def shown(patch: Patch, base: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The share of the defect that lies in the image, float [N], for each corner int [N, 2]."""
    return _lookup(patch.mask, base, corners)[2].mean(axis=1)


def mismatch(patch: Patch, base: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Mean difference in grey levels, float [N], of the defect's surroundings from each place."""
    points, targets, inside = _lookup(ring(patch.mask), base, corners)
    around = patch.image[points[:, 0], points[:, 1]].astype(np.float32)  # (P, 3)
    difference = np.abs(base[targets[..., 0], targets[..., 1]] - around).mean(axis=2)  # (N, P)
    return (difference * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)


def _lookup(
    region: np.ndarray, base: np.ndarray, corners: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the region [P, 2], where each falls in the image [N, P, 2], whether inside [N, P]."""
    points = np.argwhere(region)
    points = points[:: max(1, len(points) // POINTS)]
    targets = corners[:, None] + points[None]
    limit = np.array(base.shape[:2]) - 1
    clipped = np.clip(targets, 0, limit)
    return points, clipped, np.all(targets == clipped, axis=2)


def ring(region: np.ndarray) -> np.ndarray:
    """The surroundings of a region, bool [h, w]: within `RING` pixels of it, itself left out."""
    return ndimage.maximum_filter(region, size=2 * RING + 1) & ~region


def paste(
    base: np.ndarray, patch: Patch, y0: int, x0: int, *, feather: int, match: str
) -> tuple[np.ndarray, np.ndarray]:
    """The image uint8 [H, W, 3] with the patch in it, and the mask bool [H, W] of what was pasted.

    Pixels of the mask are the defect's own; with a feather, its real surroundings fade into the image over
    at most 2 * feather pixels outside the mask, so that no seam marks the defect.
    """
    in_image, in_patch = overlap(patch.mask.shape, base.shape[:2], y0, x0)
    region, source, target = patch.mask[in_patch], patch.image[in_patch].astype(np.float32), base[in_image]
    if match == "ring":
        source = source * brightness_gain(source, target, region)
    alpha = region.astype(np.float32)
    if feather:
        grown = ndimage.maximum_filter(alpha, size=2 * feather + 1)
        alpha = np.maximum(alpha, ndimage.uniform_filter(grown, size=2 * feather + 1))
    image, mask = base.copy(), np.zeros(base.shape[:2], dtype=bool)
    mixed = target + alpha[..., None] * (source - target)
    image[in_image] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    mask[in_image] = region
    return image, mask


def brightness_gain(source: np.ndarray, target: np.ndarray, region: np.ndarray) -> np.ndarray:
    """How much brighter the target is round the region than the source, [3], within [2/3, 3/2]."""
    around = ring(region)
    if not around.any():
        return np.ones(3, dtype=np.float32)
    gain = (target[around].mean(axis=0) + 1) / (source[around].mean(axis=0) + 1)
    return np.clip(gain, 2 / 3, 3 / 2).astype(np.float32)
