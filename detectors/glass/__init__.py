"""GLASS: a discriminator of features, taught with anomalies made in feature space and in the image.

Chen, Luo, Lv, Zhang, "A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly
Detection and Localization", ECCV 2024. The defaults are those of its released code. Global synthesis moves
normal features up the gradient of the discriminator's loss; local synthesis lays textures into images. SeaS
(ICCV 2025, Table 2) puts generated images in the place of the local ones; its code for this is not released.

Of a split's shares, those of normals and of the rest are not weighed against each other: every step takes
as many normal images as anomalous ones, and the anomalous ones are pseudo, generated or real in proportion.

The released code keeps the epoch that is best on the test set; here that is the protocol's choice, by
`ctx.validate`, and the last epoch is kept otherwise. Its foreground masks (made by hand for MVTec AD) are not
used, as in SeaS on VisA and MVTec 3D.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from bench.methods import Batch, Detector, DetectorSplit, Prediction
from bench.methods.context import Context
from detectors.backbones import EMBEDDED, BackboneParams
from detectors.backbones.files import missing_backbone
from detectors.pseudo import TextureParams, missing_textures
from detectors.supervised import BatchSize, LearningRate


class GlassParams(BackboneParams, TextureParams):
    """The released code's values for MVTec AD."""

    size: int | None = Field(
        default=288, ge=16, description="side that images are resized to; None: as the protocol gives them"
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
        default=392, ge=1, description="normal images an epoch, at most; fewer where there are fewer"
    )
    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1e-4
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
            raise ValueError(f"opacity_range {self.opacity_range} is no range within 0 and 1")
        if not 0 <= self.distance[0] <= self.distance[1]:
            raise ValueError(f"distance {self.distance} is no range of distances")
        return self


class Glass(Detector):
    """A feature adaptor and a discriminator on a frozen backbone.

    Model folder: `backbone.safetensors` (the modules that are used), `model.safetensors`, `params.json`,
    `trace.csv` and `selection.json`.
    """

    name = "glass"
    version = 1
    task = "anomaly"
    modality = "rgb"
    scope = "category"
    trains_on = frozenset({"normal", "pseudo", "real", "generated"})
    frugal = frozenset({"fit"})
    imports = ("detectors.glass.training",)
    Params = GlassParams
    params: GlassParams
    presets: ClassVar = {
        "tiny": {
            **EMBEDDED,
            "textures": "procedural",
            "hidden": 16,
            "epochs": 2,
            "epoch_size": 8,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "ascent_steps": 5,
        },
        "quick": {
            **EMBEDDED,
            "textures": "procedural",
            "keep_grey": True,
            "standardised": True,
            "hidden": 128,
            "epochs": 16,
            "epoch_size": 64,
            "batch_size": 4,
            "learning_rate": 2e-3,
            "ascent_steps": 5,
            "ascent_rate": 0.02,
            "noise": 0.2,
            "sigma": 2.0,
        },
        "manifold": {"hypothesis": "manifold"},
    }

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Train on `data`, write the model into `out`; goes on from `ctx.scratch` after a kill."""
        from detectors.glass.training import train

        train(self, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Maps of the discriminator's probability, blurred; the score is the highest one before the blur."""
        from detectors.glass.prediction import predict

        return predict(model, images, ctx)

    def missing(self, weights: Path | None = None) -> list[str]:
        params = self.params
        return [
            *missing_backbone(params.backbone, params.backbone_weights, weights, self.name),
            *missing_textures(self.name, params, weights),
        ]
