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
from typing import ClassVar

from bench.methods import Batch, Detector, DetectorSplit, Prediction
from bench.methods.context import Context
from detectors.draem.params import DraemParams
from detectors.pseudo import missing_textures


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
    imports = ("detectors.draem.model",)
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
        from detectors.draem.model import train

        train(self.name, self.params, data, out, ctx)

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        """Maps of the probability of a defect, and the highest mean in a window of the map as the score."""
        from detectors.draem.model import predict

        return predict(model, images, ctx)

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_textures(self.name, self.params, weights)
