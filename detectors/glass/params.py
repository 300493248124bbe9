"""GLASS's parameters. The defaults are those of its released code for MVTec AD."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from detectors.backbones import BackboneParams
from detectors.pseudo import TextureParams


class GlassParams(BackboneParams, TextureParams):
    """The released code's values for MVTec AD."""

    size: int | None = Field(
        default=288,
        ge=16,
        description="side of the centre of the images that is looked at; None: the protocol's images, whole",
    )
    enlarged: tuple[str, ...] = Field(
        default=("toothbrush", "wood"),
        description="categories whose images are enlarged by 329/288 before the centre is cut, as in the "
        "released code",
    )
    embedding: Literal["amazon", "anomalib"] = Field(
        default="amazon",
        description="of 3x3 patches, as PatchCore's. amazon: averaged to `dimension` values; anomalib: means "
        "of all channels of all layers",
    )
    dimension: int = Field(default=1536, ge=1, description="length of a feature under `amazon`")
    standardised: bool = Field(
        default=False,
        description="bring each feature to mean 0 and standard deviation 1 over the normal images; for "
        "backbones whose features are of other sizes than wide_resnet50_2's, which noise and radii are for",
    )
    hidden: int = Field(default=1024, ge=1, description="width of the discriminator's hidden layers")
    hidden_layers: int = Field(default=1, ge=1, description="hidden layers of the discriminator")
    epochs: int = Field(default=640, ge=1, description="epochs; the centre is taken anew before each")
    epoch_size: int = Field(
        default=392, ge=1, description="normal images per epoch, at most; fewer where there are fewer"
    )
    batch_size: int = Field(default=8, ge=1, description="examples per step")
    learning_rate: float = Field(default=1e-4, gt=0, description="the highest learning rate of the schedule")
    discriminator_rate: float = Field(
        default=2.0, gt=0, description="learning rate of the discriminator, in learning rates of the adaptor"
    )
    noise: float = Field(default=0.015, ge=0, description="standard deviation of the noise on features")
    ascent_steps: int = Field(default=20, ge=0, description="steps up the gradient; 0: noise alone")
    ascent_rate: float = Field(default=1e-3, gt=0, description="length of a step up the gradient")
    projection_interval: int = Field(default=5, ge=1, description="steps between truncated projections")
    hypothesis: Literal["hypersphere", "manifold"] = Field(
        default="hypersphere",
        description="where anomalies are looked for. hypersphere: between one and two radii from the centre, "
        "local ones between two and four; manifold: at a `distance` from their own normal features. The "
        "released code has one or the other a category",
    )
    distance: tuple[float, float] = Field(
        default=(0.5, 1.0),
        description="least and largest distance from its normal feature that an anomaly is held at, under "
        "manifold",
    )
    radius: float = Field(
        default=0.75, gt=0, lt=1, description="the radius is this quantile of the normals' distances"
    )
    mining: float = Field(
        default=0.5, ge=0, lt=1, description="share of easy features that the focal loss leaves out"
    )
    focal_gamma: float = Field(default=2.0, ge=0, description="focusing exponent of the focal loss")
    octaves: int = Field(default=5, ge=0, le=8, description="Perlin noise has 2 to a power in 0..this cells")
    threshold: float = Field(default=0.5, gt=-1, lt=1, description="Perlin noise above this is anomalous")
    opacity_mean: float = Field(
        default=0.5, ge=0, le=1, description="mean share of the image in the mix, beta"
    )
    opacity_std: float = Field(default=0.1, ge=0, description="standard deviation of beta")
    opacity_range: tuple[float, float] = Field(default=(0.2, 0.8), description="beta is cut to this range")
    operations: int = Field(default=3, ge=0, le=9, description="changes of a texture before it is laid in")
    sigma: float = Field(default=4.0, ge=0, description="standard deviation of the map's blur, pixels")
    validation_interval: int = Field(
        default=1, ge=1, description="epochs between models that the harness may choose from"
    )

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> GlassParams:
        if not 0 <= self.opacity_range[0] <= self.opacity_range[1] <= 1:
            raise ValueError(f"opacity_range {self.opacity_range} is not a range within 0 and 1")
        if not 0 <= self.distance[0] <= self.distance[1]:
            raise ValueError(f"distance {self.distance} is not a range of distances")
        return self
