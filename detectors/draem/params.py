"""DRAEM's parameters. The defaults are those of its released code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from bench.methods.training.schedules import DECAY, MILESTONES
from detectors.pseudo import TextureParams
from detectors.training_params import BatchSize, LearningRate, Loss, Schedule


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
        default=None, ge=1, description="examples per epoch; None: the number of normal training images"
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
