"""Textures that detectors paint their pseudo-anomalies with. Loads no torch: the planner reads parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field, field_validator

from bench.errors import BenchError, did_you_mean
from bench.methods import Params
from bench.methods.textures.photographs import find_dtd, photograph
from bench.methods.textures.procedural import FIELDS, procedural_texture

Size = tuple[int, int]
Textures = Callable[[Size, np.random.Generator], np.ndarray]
"""Draws a texture of a size (H, W), uint8 [H, W, 3]."""

GAINS, OFFSETS = (0.3, 1.5), (-40.0, 40.0)
"""Of an image that is relit: the factor, and what is added in grey levels."""


class TextureParams(Params):
    """Where the textures of pseudo-anomalies come from."""

    textures: Literal["dtd", "procedural"] = Field(
        default="dtd",
        description="dtd: photographs of the Describable Textures Dataset in the weights folder, as in the "
        "paper; procedural: built-in textures, no download",
    )
    procedural: tuple[str, ...] = Field(
        default=tuple(FIELDS), min_length=1, description="which of the built-in textures are drawn from"
    )
    own: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of pseudo-anomalies made of the image itself, shifted and relit, rather than with "
        "a texture; foreign textures alone teach short trainings to find foreign textures, not defects",
    )
    keep_grey: bool = Field(
        default=False,
        description="make a texture grey where its image is grey, as a grey camera would; else colour alone "
        "gives the anomaly away",
    )

    @field_validator("procedural")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FIELDS:
                raise ValueError(did_you_mean("texture", name, FIELDS))
        return names


def missing_textures(name: str, params: TextureParams, weights: Path | None) -> list[str]:
    """One sentence if the textures of the detector `name` are not there."""
    problem = find_dtd(weights)[1] if params.textures == "dtd" else None
    return [f"'{name}': {problem}; textures=procedural needs no download"] if problem else []


def texture_source(params: TextureParams, weights: Path | None) -> Textures:
    """What draws the textures. Raises BenchError where the photographs are not there."""
    if params.textures == "procedural":
        return lambda size, rng: procedural_texture(size, rng, params.procedural)
    photographs, problem = find_dtd(weights)
    if problem:
        raise BenchError(problem)
    return lambda size, rng: photograph(photographs[int(rng.integers(len(photographs)))], size)


def material(
    image: np.ndarray,
    params: TextureParams,
    foreign: Callable[[], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """What a pseudo-anomaly in `image` is painted with, uint8 [H, W, 3]: what `foreign` draws, or the image
    itself in a share `own` of draws."""
    if params.own and rng.random() < params.own:
        return relit(image, rng)
    return toned(foreign(), image, params.keep_grey)


def relit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image uint8 [H, W, 3], shifted around its borders, darker or lighter: CutPaste's idea (Li et al.,
    CVPR 2021) under any mask."""
    shift = tuple(int(rng.integers(side)) for side in image.shape[:2])
    gain, offset = rng.uniform(*GAINS), rng.uniform(*OFFSETS)
    moved = np.roll(image, shift, axis=(0, 1)).astype(np.float32)
    return np.clip(np.rint(gain * moved + offset), 0, 255).astype(np.uint8)


def toned(texture: np.ndarray, image: np.ndarray, keep_grey: bool) -> np.ndarray:
    """The texture, in grey if that is asked for and the image is grey; uint8 [H, W, 3]."""
    if not keep_grey or (image[..., :1] != image).any():
        return texture
    return np.repeat(np.asarray(Image.fromarray(texture).convert("L"))[..., None], 3, axis=2)


def painted(image: np.ndarray, texture: np.ndarray, mask: np.ndarray, beta: float) -> np.ndarray:
    """(1 - M) I + M ((1 - beta) A + beta I), uint8 [H, W, 3], of image I, texture A and mask M bool [H, W].

    Zavrtanik et al., ICCV 2021, eq. 2; GLASS (Chen et al., ECCV 2024) mixes alike.
    """
    mixed = image.copy()
    inside = (1 - beta) * texture[mask].astype(np.float32) + beta * image[mask]
    mixed[mask] = np.clip(np.rint(inside), 0, 255).astype(np.uint8)
    return mixed
