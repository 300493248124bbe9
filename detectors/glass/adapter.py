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
from typing import ClassVar

from bench.methods import Batch, Detector, DetectorSplit, Prediction, View
from bench.methods.context import Context
from detectors.backbones import EMBEDDED, missing_backbone
from detectors.glass.params import GlassParams
from detectors.pseudo import missing_textures


class Glass(Detector):
    """A feature adaptor and a discriminator on a frozen backbone.

    Model folder: `backbone.safetensors` (the modules that are used), `model.safetensors`, `params.json`,
    `trace.csv` and `selection.json`.
    """

    name = "glass"
    version = 2
    task = "anomaly"
    modality = "rgb"
    scope = "category"
    trains_on = frozenset({"normal", "pseudo", "real", "generated"})
    frugal = frozenset({"fit"})
    imports = ("detectors.glass.model",)
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

    def view(self, category: str = "") -> View | None:
        """Its size, cut from the centre: maps are the lowest outside."""
        size = self.params.size
        if size is None:
            return None
        return View(size, "crop", round(size * 329 / 288) if category in self.params.enlarged else size)

    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        """Train on `data`, write the model into `out`; goes on from `ctx.scratch` after a kill."""
        from detectors.glass.model import train

        train(self.name, self.params, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Maps of the discriminator's probability, blurred; the score is the highest one before the blur."""
        from detectors.glass.model import predict

        return predict(model, images, ctx)

    def missing(self, weights: Path | None = None) -> list[str]:
        params = self.params
        return [
            *missing_backbone(params.backbone, params.backbone_weights, weights, self.name),
            *missing_textures(self.name, params, weights),
        ]
