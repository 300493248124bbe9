"""PatchCore's parameters. Defaults are those of the paper and of its released code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from bench.methods import Params
from detectors.backbones import BackboneParams


class PatchCoreParams(BackboneParams, Params):
    """What is compared with what, and how a distance becomes a score."""

    size: int | None = Field(
        default=256,
        ge=16,
        description="side that the images are resized to, the short one where they are cut; None: the "
        "protocol's images, whole",
    )
    crop: int | None = Field(
        default=224,
        ge=16,
        description="side of the centre of the resized images that is looked at; maps have their lowest "
        "value outside. None: the whole image, stretched to a square, as SeaS has it",
    )
    embedding: Literal["amazon", "anomalib"] = Field(
        default="amazon",
        description="amazon: 3x3 patches of each layer averaged to `dimension` values, the layers averaged "
        "to `dimension` again; anomalib: 3x3 means of all channels of all layers",
    )
    dimension: int = Field(default=1024, ge=1, description="length of a patch's vector under `amazon`")
    coreset: Literal["amazon", "anomalib", "none"] = Field(
        default="amazon",
        description="greedy selection after a random projection. amazon: dense, to 128 values, from 10 "
        "random points; anomalib: sparse, to the Johnson-Lindenstrauss length, from one; none: keep all",
    )
    coreset_share: float = Field(default=0.1, gt=0, le=1, description="share of the patches that is kept")
    k: int = Field(default=1, ge=1, description="nearest memories over which a patch's distance is averaged")
    reweighting: int | None = Field(
        default=None,
        ge=2,
        description="number of neighbours in the paper's equation 7, which lowers an image's score where "
        "the memory is sparse; anomalib: 9. None: the largest distance, as in the released code",
    )
    distance: Literal["squared", "euclidean"] = Field(
        default="squared", description="squared: as the released code gives them; euclidean: as anomalib does"
    )
    upsampling: Literal["amazon", "anomalib"] = Field(
        default="amazon",
        description="of a patch map to the image. amazon: bilinear, blurred with mirrored borders; anomalib: "
        "nearest, blurred with mirrored borders that do not repeat the last pixel",
    )
    sigma: float = Field(default=4.0, ge=0, description="standard deviation of the blur, pixels; 0: none")
    batch_size: int = Field(default=8, ge=1, description="images per forward pass while fitting")

    @model_validator(mode="after")
    def _crop_fits(self) -> PatchCoreParams:
        if self.crop is not None and self.size is None:
            raise ValueError("a crop is cut from images of a size: set size, or crop to none")
        if self.crop is not None and self.size is not None and self.crop > self.size:
            raise ValueError(f"crop {self.crop} is larger than size {self.size}")
        return self
