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

from bench.adapters import Generator, Params, Request, Sample, TrainSplit
from bench.context import Context
from bench.errors import BenchError
from generators.requests import refuse_types, requested_category
from generators.textures import augmented, find_dtd

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
                    texture = _photograph(photographs[rng.integers(len(photographs))], base.shape[:2])
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
        cells = 2 ** rng.integers(0, self.params.octaves + 1, size=2)
        noise = Image.fromarray(perlin_noise(size, (int(cells[0]), int(cells[1])), rng))
        angle = rng.uniform(-self.params.rotation, self.params.rotation)
        return np.asarray(noise.rotate(angle, Image.Resampling.BILINEAR)) > self.params.threshold

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


def perlin_noise(size: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Gradient noise of Perlin (SIGGRAPH 1985), float32 [H, W] within [-1, 1], with `cells` lattice cells."""
    angles = rng.uniform(0, 2 * np.pi, size=(cells[0] + 1, cells[1] + 1))
    gradient_y, gradient_x = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)
    y = (np.arange(size[0], dtype=np.float32) * cells[0] / size[0])[:, None]
    x = (np.arange(size[1], dtype=np.float32) * cells[1] / size[1])[None, :]
    row, column = y.astype(int), x.astype(int)
    dy, dx = y - row, x - column

    def corner(down: int, right: int) -> np.ndarray:
        at = (row + down, column + right)
        return gradient_y[at] * (dy - down) + gradient_x[at] * (dx - right)  # (H, W)

    def fade(t: np.ndarray) -> np.ndarray:
        return t**3 * (t * (t * 6 - 15) + 10)

    upper = corner(0, 0) + fade(dx) * (corner(0, 1) - corner(0, 0))
    lower = corner(1, 0) + fade(dx) * (corner(1, 1) - corner(1, 0))
    return (np.sqrt(2, dtype=np.float32) * (upper + fade(dy) * (lower - upper))).astype(np.float32)


def _photograph(path: Path, size: tuple[int, int]) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))


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
