"""Augmented normals: copies of train/good, slightly turned, moved, scaled and relit.

The baseline of generated normal images: whatever a generator of normals is worth to an unsupervised detector
(SeaS, Table 3), it has to be worth more than this, which adds nothing that was not in train/good but what a
second shot of the same part would show.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from bench.errors import BenchError
from bench.methods import Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from generators.requests import requested_category


class AugmentedNormalsParams(Params):
    """How far a copy may be from its original; no paper's values, but those of a part placed by hand."""

    rotation: float = Field(3.0, ge=0, le=180, description="turned by at most +- this, degrees")
    shift: float = Field(0.02, ge=0, le=0.5, description="moved by at most +- this share of the side")
    zoom: float = Field(0.03, ge=0, lt=1, description="scaled by at most 1 +- this")
    light: float = Field(0.05, ge=0, lt=1, description="brightness and contrast times at most 1 +- this")
    flips: bool = Field(
        False,
        description="mirrored left to right and top to bottom, each half of the time; right for textures",
    )


class AugmentedNormals(Generator):
    """Normal images that are copies of train/good, as a second shot of the same part would show it."""

    name = "augmented_normals"
    version = 1
    scope = "category"
    needs = frozenset({"normal"})
    yields = frozenset({"normal"})
    Params: ClassVar[type[Params]] = AugmentedNormalsParams
    presets = {"tiny": {}, "texture": {"flips": True}}
    params: AugmentedNormalsParams

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        """Nothing is learned; the parameters are written, for who looks into the folder."""
        (out / "params.json").write_text(self.params.model_dump_json(indent=1))

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        if request.defect != "good":
            raise BenchError(
                f"'{self.name}' makes no anomalies, but '{request.defect}' of '{request.category}' was "
                "asked for; ask for 'good'"
            )
        category = requested_category(self.name, data, request, normals=True)
        for index in request.indices:
            rng = ctx.rng("sample/good", index)
            original = category.normal[int(rng.integers(len(category.normal)))]
            yield Sample(self._copy(original, rng))

    def _copy(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 [H, W, 3]: `image` moved about its centre, mirrored at its edges, then relit."""
        from scipy.ndimage import affine_transform

        params = self.params
        angle = np.deg2rad(rng.uniform(-params.rotation, params.rotation))
        scale = 1 + rng.uniform(-params.zoom, params.zoom)
        shift = rng.uniform(-params.shift, params.shift, 2) * image.shape[:2]
        bright, contrast = 1 + rng.uniform(-params.light, params.light, 2)
        mirrored = rng.random(2) < 0.5
        if params.flips:
            image = image[:: -1 if mirrored[0] else 1, :: -1 if mirrored[1] else 1]
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
        centre = (np.array(image.shape[:2]) - 1) / 2
        offset = centre - turn @ (centre + shift)
        moved = np.stack(
            [
                affine_transform(channel.astype(np.float32), turn, offset, order=3, mode="mirror")
                for channel in np.moveaxis(image, 2, 0)
            ],
            axis=2,
        )
        mean = moved.mean()
        return np.clip(np.rint(bright * (mean + contrast * (moved - mean))), 0, 255).astype(np.uint8)
