"""What the supervised detectors share as adapters: fit and predict by a network of their own.

Nothing here loads torch: the planner reads names, parameters and presets of every adapter.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from bench.methods import Batch, Detector, DetectorSplit, Prediction
from bench.methods.context import Context
from bench.methods.training import TrainingFailed
from detectors.training_params import Normalisation, TrainingParams, TrainingSchedule

if TYPE_CHECKING:
    from torch import nn


class Supervised(Detector):
    """A network trained by gradient descent on the examples of a DetectorSplit.

    Model folder: `model.safetensors`, `params.json`, `classes.json`, `trace.csv` (step, loss, learning
    rate) and `selection.json` (which epoch was kept, and the scores it was chosen by).
    """

    modality = "rgb"
    scope: ClassVar[Literal["dataset", "category"]] = "category"
    frugal = frozenset({"fit"})
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    """Images in [0, 1] are normalised to (image - mean) / std; the default leaves them as they are."""
    Params: ClassVar[type[TrainingParams]]
    params: TrainingParams

    @abstractmethod
    def training_schedule(self, data: DetectorSplit) -> TrainingSchedule:
        """How long to train on `data`."""

    @abstractmethod
    def network(self, classes: int, weights: Path | None, pretrained: bool) -> nn.Module:
        """The network, images float32 (B, 3, H, W) to logits: (B, 2, H, W), or (B, classes).

        It has its initial weights if `pretrained`, which may read files of the folder `weights`; a network
        about to be filled from a model folder is built with `pretrained` false. In training mode it may
        return a list of logits, the first of which is the output.
        """

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation that the network's images are normalised by."""
        return self.mean, self.std

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Train on `data`, write the model into `out`; goes on from `ctx.scratch` after a kill."""
        from detectors.training import train

        if not any(data.count(pool) for pool in ("real", "generated")):
            raise TrainingFailed(
                f"'{self.name}' has no anomalous example to train on; add a real or generated pool"
            )

        def network() -> nn.Module:
            return self.network(len(data.classes), ctx.weights, pretrained=True)

        schedule = self.training_schedule(data)
        train(self.name, self.params, schedule, network, self.normalisation, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Anomaly maps in [0, 1] (segmentation) or logits (classification), a batch at a time."""
        from detectors.training import infer

        # The folder knows what it was trained with; the caller's parameters might differ.
        stored = self.stored(model)

        def network(classes: int) -> nn.Module:
            return stored.network(classes, None, pretrained=False)

        return infer(stored.task, stored.params, network, stored.normalisation, model, images, ctx)

    @classmethod
    def stored(cls, model: Path) -> Self:
        """This adapter with the parameters that the model in `model` was trained with."""
        return cls(cls.Params.model_validate_json((model / "params.json").read_text()))
