"""CutPaste: a rectangle of a normal image, pasted elsewhere into the same image.

Li, Sohn, Yoon, Pfister: CutPaste: self-supervised learning for anomaly detection and localization, CVPR
2021, section 2.2 and appendix. The paper trains a classifier of "pasted or not"; here the pasted region is
the mask of an anomaly without a type.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image, ImageEnhance
from pydantic import Field

from bench.methods import Generator, Params, Request, Sample, TrainSplit
from bench.methods.context import Context
from generators.requests import refuse_types, requested_category

PAPER_SIDE = 256
"""The side in pixels of the paper's images, for which the scar's sizes are given."""


class CutPasteParams(Params):
    """The paper's values; sizes in pixels are for images of 256 x 256 and scale with the image."""

    variant: Literal["patch", "scar", "both"] = Field(
        "both", description="rectangles, thin turned scars, or either with probability 1/2"
    )
    area: tuple[float, float] = Field((0.02, 0.15), description="patch: least and largest share of the image")
    aspect: float = Field(3.3, ge=1, description="patch: largest ratio of the sides; at least 1/0.3 = 3.3")
    scar_width: tuple[int, int] = Field((2, 16), description="scar: least and largest width, pixels")
    scar_length: tuple[int, int] = Field((10, 25), description="scar: least and largest length, pixels")
    scar_rotation: float = Field(45.0, ge=0, le=90, description="scar: turned by +- this, degrees")
    jitter: float = Field(
        0.1, ge=0, le=0.5, description="largest change of brightness, contrast, saturation and hue"
    )


class CutPaste(Generator):
    """Moves a part of a normal image to another place in it."""

    name = "cutpaste"
    version = 1
    scope = "category"
    needs = frozenset({"normal"})
    yields = frozenset({"anomaly", "mask"})
    Params: ClassVar[type[Params]] = CutPasteParams
    presets = {"tiny": {}}
    params: CutPasteParams

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        """Nothing is learned; the parameters are written, for who looks into the folder."""
        (out / "params.json").write_text(self.params.model_dump_json(indent=1))

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        category = requested_category(self.name, data, request)
        refuse_types(self.name, request)
        for index in request.indices:
            rng = ctx.rng(f"sample/{request.defect}", index)
            base = category.normal[int(rng.integers(len(category.normal)))]
            scar = self.params.variant == "scar" or (self.params.variant == "both" and rng.random() < 0.5)
            piece, shape = self._scar(base, rng) if scar else self._patch(base, rng)
            height, width = shape.shape
            y0 = int(rng.integers(base.shape[0] - height + 1))
            x0 = int(rng.integers(base.shape[1] - width + 1))
            image, mask = base.copy(), np.zeros(base.shape[:2], dtype=bool)
            image[y0 : y0 + height, x0 : x0 + width][shape] = piece[shape]
            mask[y0 : y0 + height, x0 : x0 + width] = shape
            yield Sample(image, mask, base=base)

    def _patch(self, base: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        height, width = base.shape[:2]
        area = rng.uniform(*self.params.area) * height * width
        # The paper draws the ratio from (0.3, 1) or (1, 3.3), each half of the time.
        ratio = (
            rng.uniform(1 / self.params.aspect, 1)
            if rng.random() < 0.5
            else rng.uniform(1, self.params.aspect)
        )
        sides = np.clip(np.rint(np.sqrt([area * ratio, area / ratio])), 1, [height, width]).astype(int)
        piece = self._jittered(_cut(base, int(sides[0]), int(sides[1]), rng), rng)
        return np.asarray(piece), np.ones(tuple(sides), dtype=bool)

    def _scar(self, base: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        side = min(base.shape[:2]) / PAPER_SIDE
        width, length = rng.uniform(*self.params.scar_width), rng.uniform(*self.params.scar_length)
        sides = np.clip(np.rint([length * side, width * side]), 1, base.shape[:2]).astype(int)
        piece = self._jittered(_cut(base, int(sides[0]), int(sides[1]), rng), rng)
        angle = rng.uniform(-self.params.scar_rotation, self.params.scar_rotation)
        cover = Image.new("L", piece.size, 255).rotate(angle, expand=True)
        turned = piece.rotate(angle, expand=True)
        limit = (0, 0, min(turned.width, base.shape[1]), min(turned.height, base.shape[0]))
        shape = np.asarray(cover.crop(limit)) > 127
        return np.asarray(turned.crop(limit)), shape if shape.any() else np.ones_like(shape)

    def _jittered(self, piece: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Colour jitter; the paper's order of operations is not given, so the order here is fixed."""
        for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            piece = enhancer(piece).enhance(1 + rng.uniform(-self.params.jitter, self.params.jitter))
        shift = int(rng.uniform(-self.params.jitter, self.params.jitter) * 256)
        hue, saturation, value = piece.convert("HSV").split()
        hue = hue.point([(level + shift) % 256 for level in range(256)])
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _cut(image: np.ndarray, height: int, width: int, rng: np.random.Generator) -> Image.Image:
    y0 = int(rng.integers(image.shape[0] - height + 1))
    x0 = int(rng.integers(image.shape[1] - width + 1))
    return Image.fromarray(image[y0 : y0 + height, x0 : x0 + width])
