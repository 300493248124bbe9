"""Which images a sample is made of, and its conditions: drawn from named streams, without any network."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from bench.errors import BenchError, did_you_mean
from bench.methods import CategoryTrain, Request
from generators.anomalyhybrid.augmentation import identity_grid, local_spline, warp
from generators.anomalyhybrid.conditions import Views
from generators.anomalyhybrid.manipulation import feather, manipulate, matched, move
from generators.anomalyhybrid.params import AnomalyHybridParams

WARPS = 3
"""Local splines that bend the structure of a normal image."""
WARP = 0.06
"""Their largest shift, in units of the spacing of control points."""


class Place(NamedTuple):
    """An image of the train split: its pool, "normal" or "real", and its row."""

    pool: str
    row: int


@dataclass(frozen=True)
class SampleRecipe:
    """The conditions of one sample.

    `own` [3, H, W] is the target's colour, `colour` [3, H, W] the condition, `structure` [2, H, W] the depth
    and edge conditions and `plain` [2, H, W] these without manipulation, all in 0..1. `region` is where they
    were manipulated, `target_region` and `reference_region` where target and reference have anomalies of
    their own, bool [H, W]. `kind` names the manipulation.
    """

    kind: str
    decoder: str
    reference: Place
    target: Place
    target_colour: np.ndarray
    colour: np.ndarray
    structure: np.ndarray
    plain: np.ndarray
    region: np.ndarray
    target_region: np.ndarray
    reference_region: np.ndarray


class Recipes:
    """Draws the recipes of one request."""

    def __init__(
        self,
        owner: str,
        params: AnomalyHybridParams,
        category: CategoryTrain,
        views: dict[str, Views],
        request: Request,
    ) -> None:
        self.params, self.views, self.request = params, views, request
        if not len(category.normal):
            raise BenchError(
                f"'{owner}' needs normal images, and train/good of '{category.name}' is empty; add some"
            )
        self.reals: list[int] = []
        if request.defect == "good":
            return
        if request.defect != "any" and request.defect not in category.anomalies:
            raise BenchError(did_you_mean("defect", request.defect, category.anomalies, of=category.name))
        types = sorted(category.anomalies) if request.defect == "any" else [request.defect]
        rows = [row for defect in types for row in category.anomalies[defect].indices]
        self.reals = [row for row in rows if views["real"].mask(row).any()]
        if not self.reals:
            raise BenchError(
                f"'{owner}' has no region to work on: every training mask of '{request.defect}' of "
                f"'{category.name}' is empty; check ground_truth/{request.defect}"
            )

    def draw(self, index: int, rng: np.random.Generator) -> SampleRecipe:
        params = self.params
        decoder = params.decoders if params.decoders != "both" else ("ahd", "ahe")[index % 2]
        if self.request.defect == "good":
            return self._normal(decoder, rng)
        whole = params.anomalies == "global" or (params.anomalies == "mixed" and index // 2 % 2 == 1)
        return self._hybrid(decoder, rng) if whole else self._local(decoder, rng)

    def _normal(self, decoder: str, rng: np.random.Generator) -> SampleRecipe:
        """One normal image's appearance in another's structure, or in its own structure, bent."""
        reference = self._any_normal(rng)
        target = self._any_normal(rng) if self.params.normals == "hybrid" else reference
        colour, structure = self._stack(reference)[:3], self._stack(target)[3:]
        if self.params.normals == "warped":
            side = colour.shape[1]
            grid = identity_grid(side)
            for _ in range(WARPS):
                half, centre = rng.uniform(0.3, 0.6), rng.uniform(-0.7, 0.7, size=2)
                moves = rng.uniform(-1, 1, size=(9, 2)) * WARP * half
                grid = grid + local_spline(side, centre, half, moves)
            bent = warp(torch.from_numpy(structure)[None], torch.from_numpy(grid.astype(np.float32))[None])
            structure = bent[0].numpy()
        nowhere = np.zeros(colour.shape[1:], dtype=bool)
        return SampleRecipe(
            "normal", decoder, reference, target, colour, colour, structure, structure, *[nowhere] * 3
        )

    def _hybrid(self, decoder: str, rng: np.random.Generator) -> SampleRecipe:
        """A global anomaly: a normal image's appearance in the structure of a real defect's image."""
        reference, target = self._any_normal(rng), self._any_real(rng)
        structure = self._stack(target)[3:]
        mask = self.views["real"].mask(target.row)
        nowhere = np.zeros_like(mask)
        colour = self._stack(reference)[:3]
        target_colour = self._stack(target)[:3]
        places = (mask, mask, nowhere)
        return SampleRecipe(
            "global", decoder, reference, target, target_colour, colour, structure, structure, *places
        )

    def _local(self, decoder: str, rng: np.random.Generator) -> SampleRecipe:
        params = self.params
        reference = self._any_real(rng)
        from_normal = params.target == "normal" or (params.target == "any" and rng.random() < 0.5)
        target = self._any_normal(rng) if from_normal else self._any_real(rng)
        kind, bend = self._manipulation(rng)
        source, stack = self._stack(reference), self._stack(target)
        reference_mask = self.views["real"].mask(reference.row)
        targets = self._own_region(target)
        region = move(source, reference_mask, stack, bend, rng)
        # what is removed is removed in both regions; else the target's anomaly keeps its structure
        where = region.mask | targets if kind == "remove" else region.mask
        structure = manipulate(kind, stack, region, where)
        colour, shows = source[:3], reference_mask
        if params.colour != "reference":
            colour, shows = stack[:3], np.zeros_like(reference_mask)
        if params.colour == "region" or (kind == "mask" and params.colour == "target"):
            recoloured = matched(region.stack[:3], stack, region.mask)
            colour = colour + feather(region.mask, 1) * (recoloured - colour)
        name = f"{kind}+tps" if bend else kind
        places = (where, targets, shows)
        return SampleRecipe(
            name, decoder, reference, target, stack[:3], colour, structure, stack[3:], *places
        )

    def _manipulation(self, rng: np.random.Generator) -> tuple[str, bool]:
        """What is done to the values, and whether they are bent first; on its own, TPS replaces."""
        listed = self.params.manipulations
        kinds = [kind for kind in listed if kind != "tps"] or ["replace"]
        kind, toss = kinds[rng.integers(len(kinds))], rng.random()
        return kind, "tps" in listed and (len(listed) == 1 or toss < 0.5)

    def _any_normal(self, rng: np.random.Generator) -> Place:
        return Place("normal", int(rng.integers(len(self.views["normal"]))))

    def _any_real(self, rng: np.random.Generator) -> Place:
        return Place("real", self.reals[rng.integers(len(self.reals))])

    def _stack(self, image: Place) -> np.ndarray:
        return self.views[image.pool].stack(image.row)

    def _own_region(self, image: Place) -> np.ndarray:
        return self.views[image.pool].mask(image.row)
