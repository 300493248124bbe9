"""Perlin: textures laid into normal images under Perlin noise, as DRAEM makes its anomalies.

Zavrtanik, Kristan, Skocaj: DRAEM, a discriminatively trained reconstruction embedding for surface anomaly
detection, ICCV 2021, section 3.3: image = (1 - M) I + M ((1 - beta) A + beta I), with a mask M from
thresholded Perlin noise, a texture A and an opacity beta.

DRAEM shows its networks an unchanged image half of the time and turns some normal images; both belong to
its training, not to the making of anomalies, so every sample here is anomalous and its base is as it was.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from bench.errors import BenchError
from bench.methods import Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from bench.methods.textures.perlin import perlin_mask
from bench.methods.textures.photographs import augmented, find_dtd, photograph
from generators.requests import refuse_types, requested_category

ATTEMPTS = 100
"""Masks drawn before giving up; one in about five is empty at the paper's threshold."""


class PerlinParams(Params):
    """DRAEM's values; `textures` is DTD in the paper, which is not shipped."""

    textures: Literal["own", "dtd"] = Field(
        "own", description="normal images of the train split, or the Describable Textures Dataset"
    )
    octaves: int = Field(
        5, ge=0, le=8, description="noise cells across the image: 2 to a power in 0..this, each axis"
    )
    threshold: float = Field(0.5, gt=-1, lt=1, description="noise above this is anomalous")
    rotation: float = Field(90.0, ge=0, le=180, description="the noise is turned by +- this, degrees")
    opacity: float = Field(0.8, ge=0, lt=1, description="largest share of the image in the mix, beta")
    operations: int = Field(3, ge=0, le=10, description="changes of the texture before it is laid in")
    keep_grey: bool = Field(
        False, description="make the texture grey where the image is grey, as a grey camera would"
    )
    least_change: float = Field(
        0.0, ge=0, le=64, description="draw again until the mean change in the mask is this, grey levels"
    )


class Perlin(Generator):
    """Lays textures into normal images under random cloud-like masks."""

    name = "perlin"
    version = 1
    scope = "category"
    needs = frozenset({"normal"})
    yields = frozenset({"anomaly", "mask"})
    Params: ClassVar[type[Params]] = PerlinParams
    presets = {"tiny": {}, "quick": {"keep_grey": True, "least_change": 12.0}}
    params: PerlinParams

    def missing(self, weights: Path | None = None) -> list[str]:
        problem = find_dtd(weights)[1] if self.params.textures == "dtd" else None
        return [problem] if problem else []

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        """Nothing is learned; the parameters are written, for who looks into the folder."""
        (out / "params.json").write_text(self.params.model_dump_json(indent=1))

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        category = requested_category(self.name, data, request)
        refuse_types(self.name, request)
        photographs: list[Path] = []
        if self.params.textures == "dtd":
            photographs, problem = find_dtd(ctx.weights)
            if problem:
                raise BenchError(problem)
        for index in request.indices:
            rng = ctx.rng(f"sample/{request.defect}", index)
            base = category.normal[int(rng.integers(len(category.normal)))]
            for _ in range(ATTEMPTS):
                mask = self._mask(base.shape[:2], rng)
                if photographs:
                    texture = photograph(photographs[rng.integers(len(photographs))], base.shape[:2])
                else:
                    texture = _own_texture(data, rng)
                image = self._mix(base, mask, augmented(texture, rng, self.params.operations), rng)
                if self._shows(base, image, mask):
                    break
            else:
                raise BenchError(
                    f"'perlin' found no visible anomaly for image {index} of '{request.category}' in "
                    f"{ATTEMPTS} attempts; lower threshold ({self.params.threshold}) or least_change "
                    f"({self.params.least_change})"
                )
            yield Sample(image, mask, base=base)

    def _mask(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        params = self.params
        return perlin_mask(
            size, rng, octaves=params.octaves, rotation=params.rotation, threshold=params.threshold
        )

    def _mix(
        self, base: np.ndarray, mask: np.ndarray, texture: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        if self.params.keep_grey and (base[..., :1] == base).all():
            texture = np.repeat(np.asarray(Image.fromarray(texture).convert("L"))[..., None], 3, axis=2)
        beta = rng.uniform(0, self.params.opacity) if self.params.opacity else 0.0
        image = base.copy()
        mixed = (1 - beta) * texture[mask].astype(np.float32) + beta * base[mask]
        image[mask] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        return image

    def _shows(self, base: np.ndarray, image: np.ndarray, mask: np.ndarray) -> bool:
        if not mask.any():
            return False
        change = np.abs(image[mask].astype(np.float32) - base[mask]).max(axis=1).mean()
        return bool(change >= self.params.least_change)


def _own_texture(data: TrainSplit, rng: np.random.Generator) -> np.ndarray:
    """A normal image of the train split, the category drawn first, mirrored and rolled.

    Rolled, because the same place of another image of one aligned object looks like what it would cover.
    """
    names = sorted(name for name, category in data.categories.items() if len(category.normal))
    normal = data.categories[names[rng.integers(len(names))]].normal
    texture = normal[int(rng.integers(len(normal)))]
    texture = texture[:: 1 - 2 * int(rng.integers(2)), :: 1 - 2 * int(rng.integers(2))]
    height, width = texture.shape[:2]
    return np.roll(texture, (int(rng.integers(height)), int(rng.integers(width))), axis=(0, 1))
