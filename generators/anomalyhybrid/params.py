"""Options of AnomalyHybrid; the table in the package's docstring says which are the paper's."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.methods import Params

Manipulation = Literal["mask", "merge", "remove", "replace", "tps"]


def _listed(value: Any) -> Any:
    """ "merge" and "merge+tps" are lists too, so that an ablation is one word on the command line."""
    if isinstance(value, str):
        return ("mask", "merge", "remove", "replace", "tps") if value == "mixed" else tuple(value.split("+"))
    return value


class AnomalyHybridParams(Params):
    """Defaults: the paper, and its ancestors pix2pixHD and DeepSIM where it is silent."""

    edges: Literal["pidinet", "canny"] = Field(
        "pidinet", description="edge condition: first granularity of PiDiNet, or Canny by OpenCV"
    )
    depth: Literal["depth_anything", "dataset", "shading"] = Field(
        "depth_anything",
        description="depth condition: Depth Anything V2 Small, the data set's own, or smoothed brightness",
    )

    width: int = Field(64, ge=4, le=256, description="channels of the generator's first scale")
    downsamplings: int = Field(4, ge=1, le=6, description="scales below the first, each of half the size")
    blocks: int = Field(9, ge=0, le=32, description="ResNet blocks at the coarsest scale")
    skips: bool = Field(True, description="decoders add the encoder's features of each scale")
    norm: Literal["instance", "batch"] = Field("instance", description="normalisation of the generator")

    discriminator_width: int = Field(64, ge=4, le=256, description="channels of its first layer")
    discriminator_layers: int = Field(3, ge=1, le=5, description="layers of stride 2 of a discriminator")
    discriminator_scales: int = Field(2, ge=1, le=3, description="discriminators, each at half the size")

    gan: Literal["lsgan", "log"] = Field("lsgan", description="least squares, or the logarithms of Eq. 3")
    perceptual: Literal["vgg", "embedded"] = Field(
        "vgg", description="network of the perceptual loss: VGG-19, or EfficientNet-Lite0 from a package"
    )
    perceptual_weight: float = Field(1.0, ge=0, le=100, description="weight of Eq. 2 in Eq. 4")
    adversarial_weight: float = Field(1.0, ge=0, le=100, description="weight of Eq. 3 in Eq. 4")
    pixel_weight: float = Field(
        0.0, ge=0, le=100, description="weight of an L1 loss on pixels, none in Eq. 4"
    )

    epochs: int = Field(200, ge=1, le=10_000, description="passes over the images, unless steps is given")
    steps: int | None = Field(None, ge=1, le=10_000_000, description="training steps; none: by epochs")
    batch_size: int = Field(1, ge=1, le=256, description="images per step")
    learning_rate: float = Field(2e-4, gt=0, le=0.1, description="of Adam with betas (0.5, 0.999)")
    constant_share: float = Field(
        0.5, ge=0, le=1, description="share of the steps before the learning rate falls linearly to 0"
    )
    defect_share: float | None = Field(
        None, ge=0, le=1, description="share of real defects in training; none: all images alike"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast to bfloat16")
    compiled: bool = Field(False, description="run the generator through torch.compile")

    tps: float = Field(1.0, ge=0, le=1, description="share of conditions with a local thin-plate spline")
    tps_shift: float = Field(0.35, ge=0, le=1, description="largest shift of a control point, in its spacing")
    resize: float = Field(0.5, ge=0, le=1, description="share of conditions resized, moved and padded")
    flip: float = Field(0.5, ge=0, le=1, description="share of conditions mirrored, each axis")
    together: float = Field(
        0.0, ge=0, le=1, description="share of images whose conditions share resizing and mirroring"
    )
    paired: float = Field(
        0.0, ge=0, le=1, description="share of images whose depth and edges share all of their augmentation"
    )
    swap: float = Field(
        0.0, ge=0, le=1, description="share of images with a part of the colour condition from another image"
    )

    decoders: Literal["ahd", "ahe", "both"] = Field(
        "both", description="whose images are given; both: even indices depth's, odd indices edge's"
    )
    anomalies: Literal["local", "global", "mixed"] = Field(
        "local", description="manipulated regions, whole hybrids, or every other image of each"
    )
    manipulations: Annotated[tuple[Manipulation, ...], BeforeValidator(_listed)] = Field(
        ("merge", "remove", "replace", "tps"),
        min_length=1,
        description="of mask, merge, remove, replace, tps: one drawn an image; 'mixed' is all",
    )
    target: Literal["normal", "defect", "any"] = Field(
        "any", description="whose structure an anomaly has: a normal image, a real defect, or either"
    )
    colour: Literal["reference", "target", "region"] = Field(
        "reference",
        description="colour condition of local anomalies: the reference's; the target's; the target's with "
        "the reference's in the region",
    )
    fusion: Literal["free", "region"] = Field(
        "free", description="where the fusion map may change the image: everywhere, or near the region"
    )
    least_change: float = Field(
        8.0, ge=0, le=128, description="grey levels by which a pixel of the mask differs at least"
    )
    normals: Literal["hybrid", "warped"] = Field(
        "hybrid", description="normal images: one's appearance in another's structure, or in its own, warped"
    )

    @model_validator(mode="after")
    def _possible(self) -> "AnomalyHybridParams":
        if len(set(self.manipulations)) < len(self.manipulations):
            raise ValueError("manipulations names one twice")
        if self.fusion == "region" and self.colour == "reference":
            raise ValueError("fusion=region keeps the target's pixels, so colour must be target or region")
        return self

    def total_steps(self, images: int) -> int:
        return self.steps or -(-images // self.batch_size) * self.epochs


SAMPLING = frozenset(
    {"decoders", "anomalies", "manipulations", "target", "colour", "fusion", "least_change", "normals"}
)
"""What a fit does not look at: the rows of an ablation of these have one model."""


class StarParams(AnomalyHybridParams):
    """Measured depth for both generators: one manipulated map makes the colour and the depth of a pair."""

    depth: Literal["depth_anything", "dataset", "shading"] = Field(
        "dataset", description="depth condition: the data set's own, which AnomalyHybrid* learns"
    )

    @model_validator(mode="after")
    def _measured(self) -> "StarParams":
        if self.depth != "dataset":
            raise ValueError("AnomalyHybrid* learns measured depth, so depth must be dataset")
        return self
