"""DRAEM: a network that paints defects over, and one that finds them by the difference.

Zavrtanik, Kristan, Skocaj, "DRAEM: A discriminatively trained reconstruction embedding for surface anomaly
detection", ICCV 2021. The defaults are those of its released code. SeaS (ICCV 2025, Tables 2 and 28) replaces
the pseudo-anomalies by generated ones, or puts real ones beside them; its code for this is not released.

What a batch is made of is the protocol's, by the shares of the split: `pseudo` is DRAEM's own synthesis,
`generated` and `real` are pools. DRAEM itself: half normal, half pseudo. AnoGen: half normal, a quarter each
of pseudo and generated, which is what its code draws; the preset `anogen` is the rest of its recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from bench.methods import Batch, Detector, DetectorSplit, Prediction
from bench.methods.context import Context
from bench.methods.training.schedules import DECAY, MILESTONES
from detectors.pseudo import TextureParams, missing_textures
from detectors.supervised import BatchSize, LearningRate, Loss, Schedule


class DraemParams(TextureParams):
    """The released code's values, at 256 x 256."""

    size: int | None = Field(
        default=None, ge=32, description="side that images are resized to; None: as the protocol gives them"
    )
    reconstructive_width: int = Field(
        default=128, ge=1, description="channels of the first level of the reconstructive sub-network"
    )
    discriminative_width: int = Field(
        default=64, ge=1, description="channels of the first level of the discriminative sub-network"
    )
    epochs: int = Field(default=700, ge=1, description="epochs")
    epoch_size: int | None = Field(
        default=None, ge=1, description="examples an epoch; None: the number of normal training images"
    )
    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1e-4
    schedule: Schedule = "multistep"
    milestones: tuple[float, ...] = Field(
        default=MILESTONES, description="shares of the epochs after which multistep lowers the rate"
    )
    decay: float = Field(default=DECAY, gt=0, le=1, description="the factor at each milestone of multistep")
    loss: Loss = "focal"
    focal_gamma: float = Field(default=2.0, ge=0, description="focusing exponent of the focal loss")
    separate: bool = Field(
        default=False,
        description="whether the loss of the map stops short of the reconstructive sub-network; in the paper "
        "it trains both, which takes thousands of steps before anything is restored",
    )
    confidence_cutoff: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="anomalous pixels that are given at most this probability do not count in the loss, "
        "which must be focal; AnoGen's remedy for masks larger than their defects",
    )
    octaves: int = Field(default=5, ge=0, le=8, description="Perlin noise has 2 to a power in 0..this cells")
    threshold: float = Field(default=0.5, gt=-1, lt=1, description="Perlin noise above this is anomalous")
    opacity: float = Field(default=0.8, ge=0, lt=1, description="largest share of the image in the mix, beta")
    operations: int = Field(default=3, ge=0, le=10, description="changes of a texture before it is laid in")
    rotated: float = Field(default=0.3, ge=0, le=1, description="share of examples that are turned")
    rotation: float = Field(default=90.0, ge=0, le=180, description="... by up to this, degrees, either way")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="bf16: automatic mixed precision; about twice as fast where supported"
    )
    recalibration_batches: int = Field(
        default=0, ge=0, description="batches over which batch norm's statistics are averaged anew at the end"
    )
    validation_interval: int = Field(
        default=10, ge=1, description="epochs between models that the harness may choose from"
    )
    score_window: int = Field(
        default=21, ge=1, description="the image score is the highest mean of the map over this many pixels"
    )

    @model_validator(mode="after")
    def _cutoff_is_of_focal(self) -> DraemParams:
        if self.confidence_cutoff is not None and self.loss != "focal":
            raise ValueError(f"confidence_cutoff is for loss=focal, not {self.loss}")
        return self


class Draem(Detector):
    """Reconstructive and discriminative sub-networks, trained together on anomalies laid into normal images.

    Model folder: `model.safetensors`, `params.json`, `trace.csv` and `selection.json`.
    """

    name = "draem"
    version = 1
    task = "anomaly"
    modality = "rgb"
    scope = "category"
    trains_on = frozenset({"normal", "pseudo", "real", "generated"})
    frugal = frozenset({"fit"})
    imports = ("detectors.draem.training",)
    Params = DraemParams
    params: DraemParams
    presets: ClassVar = {
        "tiny": {
            "textures": "procedural",
            "reconstructive_width": 2,
            "discriminative_width": 2,
            "epochs": 2,
            "epoch_size": 8,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "validation_interval": 1,
        },
        # Away from the paper, so that a fit takes 90 seconds of one core and 600 steps: narrow
        # networks that see 64 pixels, cells of noise no smaller there than the paper's, built-in textures
        # and the image itself, less of the image in the mix, both parts taught apart (in 500 steps
        # together, the reconstruction stayed one grey), a loss that does not fade on few pixels.
        "quick": {
            "size": 64,
            "textures": "procedural",
            "own": 0.4,
            "keep_grey": True,
            "octaves": 3,
            "operations": 0,
            "opacity": 0.6,
            "reconstructive_width": 8,
            "discriminative_width": 8,
            "separate": True,
            "epochs": 4,
            "epoch_size": 1200,
            "learning_rate": 2e-3,
            "schedule": "one_cycle",
            "loss": "cross_entropy_dice",
            "rotated": 0.0,
            "recalibration_batches": 8,
            "score_window": 3,
        },
        "anogen": {
            "batch_size": 16,
            "confidence_cutoff": 0.5,
            "milestones": (400 / 700, 600 / 700),
            "decay": 0.1,
        },
    }

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Train on `data`, write the model into `out`; goes on from `ctx.scratch` after a kill."""
        from detectors.draem.training import train

        train(self, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Maps of the probability of a defect, and the highest mean in a window of the map as the score."""
        from detectors.draem.prediction import predict

        return predict(model, images, ctx)

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_textures(self.name, self.params, weights)
