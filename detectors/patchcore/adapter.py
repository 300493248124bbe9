"""PatchCore: distances of patches to a memory of normal patches.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. Defaults are those of the
paper and of its released code (amazon-science/patchcore-inspection); where anomalib's implementation departs
from it, the departure is an option called `anomalib`, and the preset of that name takes all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

from bench.methods import Batch, Detector, DetectorSplit, Prediction, View
from bench.methods.context import Context
from detectors import backbones
from detectors.backbones import missing_backbone
from detectors.patchcore.params import PatchCoreParams

EMBEDDED = {**backbones.EMBEDDED, "crop": None}


class PatchCore(Detector):
    """Anomaly maps and image scores from the distance to the nearest normal patch; learns from normals alone.

    Model folder: `backbone.safetensors` (the modules that are used), `memory.npy` float32 [M, D],
    `params.json`, `memory.json` (how many images and patches were seen, and how many are remembered).
    """

    name = "patchcore"
    version = 2
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

    def view(self, category: str = "") -> View | None:
        """The centre of its crop, or whole images of its size."""
        size, crop = self.params.size, self.params.crop
        if size is None:
            return None
        return View(size) if crop is None else View(crop, "crop", size)

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
