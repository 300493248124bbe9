"""PatchCore: distances of patches to a memory of normal backbones.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. Defaults are those of the
paper and of its released code (amazon-science/patchcore-inspection); where anomalib's implementation departs
from it, the departure is an option called `anomalib`, and the preset of that name takes all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from bench.methods import Batch, Detector, DetectorSplit, Params, Prediction
from bench.methods.context import Context
from detectors import backbones
from detectors.backbones import BackboneParams
from detectors.backbones.files import missing_backbone

EMBEDDED = {**backbones.EMBEDDED, "crop": None}


class PatchCoreParams(BackboneParams, Params):
    """What is compared with what, and how a distance becomes a score."""

    size: int | None = Field(
        default=256, ge=16, description="side that images are resized to; None: as the protocol gives them"
    )
    crop: int | None = Field(
        default=224,
        ge=16,
        description="side of the central part that is looked at; maps are 0 outside. None: the whole image, "
        "as SeaS has it",
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
    batch_size: int = Field(default=8, ge=1, description="images a forward pass while fitting")

    @model_validator(mode="after")
    def _crop_fits(self) -> PatchCoreParams:
        if self.crop is not None and self.size is not None and self.crop > self.size:
            raise ValueError(f"crop {self.crop} is larger than size {self.size}")
        return self


class PatchCore(Detector):
    """Anomaly maps and image scores from the distance to the nearest normal patch; learns from normals alone.

    Model folder: `backbone.safetensors` (the modules that are used), `memory.npy` float32 [M, D],
    `params.json`, `memory.json` (how many images and patches were seen, and how many are remembered).
    """

    name = "patchcore"
    version = 1
    task = "anomaly"
    modality = "rgb"
    trains_on = frozenset({"normal"})
    scope: ClassVar[Literal["dataset", "category"]] = "category"
    imports = ("detectors.patchcore.memory", "detectors.patchcore.scoring")
    Params = PatchCoreParams
    params: PatchCoreParams
    presets: ClassVar = {
        "tiny": {**EMBEDDED, "coreset_share": 0.25},
        "quick": EMBEDDED,
        "embedded": {**EMBEDDED, "size": 256},
        "seas": {"crop": None},
        "anomalib": {
            "crop": None,
            "embedding": "anomalib",
            "coreset": "anomalib",
            "reweighting": 9,
            "distance": "euclidean",
            "upsampling": "anomalib",
        },
    }

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Remember the normal images of `data`; goes on from `ctx.scratch` after a kill."""
        from detectors.patchcore.memory import remember

        remember(self.params, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Scores and maps of distances, 0 or more, a batch at a time."""
        from detectors.patchcore.scoring import score

        # The folder knows what it was made with; the caller's parameters might differ.
        params = PatchCoreParams.model_validate_json((model / "params.json").read_text())
        return score(params, model, images, ctx)

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_backbone(self.params.backbone, self.params.backbone_weights, weights, self.name)
