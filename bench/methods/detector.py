"""The detector interface."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from bench.methods.context import Context
from bench.methods.params import Adapter
from bench.methods.splits import Batch, DetectorSplit

DetectorTask = Literal["segmentation", "classification", "anomaly"]


class Prediction(NamedTuple):
    """What a detector says of a batch.

    score float32 [B], higher is more anomalous, None to let the protocol's rule derive it from the map;
    amap float32 [B, H, W] at the size of the images; logits float32 [B, K] over `DetectorSplit.classes`.
    """

    score: np.ndarray | None = None
    amap: np.ndarray | None = None
    logits: np.ndarray | None = None


class Detector(Adapter):
    """Learns to find, or to name, defects."""

    task: ClassVar[DetectorTask]
    modality: ClassVar[Literal["rgb", "depth"]]
    scope: ClassVar[Literal["dataset", "category"]]
    """What one fit covers; a protocol may choose otherwise."""
    trains_on: ClassVar[frozenset[str]] = frozenset({"normal", "real", "generated"})
    """Of normal, pseudo, real, generated: what it can learn from. `pseudo` says that it makes anomalies of
    its own; one that learns from normal images alone has `normal` alone."""

    @abstractmethod
    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Train on `data` and write the model into the folder `out`.

        Long training keeps checkpoints in `ctx.scratch` and goes on from there after a kill.
        """

    @abstractmethod
    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """One Prediction for each batch, in order."""
