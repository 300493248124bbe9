"""The adapters `anomalyhybrid` and `anomalyhybrid_star`. Loads no torch: the planner reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from bench.adapters import Generator, Params, Request, Sample, TrainSplit
from bench.context import Context
from generators.anomalyhybrid.params import AnomalyHybridParams
from generators.anomalyhybrid.sources import missing_sources

NO_DOWNLOAD: dict[str, Any] = {"edges": "canny", "depth": "shading", "perceptual": "embedded"}
"""What takes no weights but those that a package ships."""
TINY: dict[str, Any] = {
    **NO_DOWNLOAD,
    "width": 8,
    "downsamplings": 2,
    "blocks": 1,
    "discriminator_width": 8,
    "discriminator_layers": 2,
    "discriminator_scales": 1,
    "steps": 6,
    "batch_size": 2,
    "colour": "region",
    "least_change": 1.0,
}
QUICK: dict[str, Any] = {
    **NO_DOWNLOAD,
    "width": 16,
    "downsamplings": 3,
    "blocks": 2,
    "norm": "batch",
    "discriminator_width": 16,
    "discriminator_scales": 1,
    "perceptual_weight": 2.0,
    "adversarial_weight": 0.1,
    "pixel_weight": 10.0,
    "steps": 300,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "defect_share": 0.5,
    "together": 0.7,
    "resize": 0.3,
    "swap": 0.7,
    "colour": "region",
    "normals": "warped",
    "target": "normal",
    "fusion": "region",
    "manipulations": ("merge", "replace", "tps"),
}


class AnomalyHybrid(Generator):
    """Renders manipulated depth and edge maps in the appearance of a reference image."""

    name = "anomalyhybrid"
    version = 1
    scope = "dataset"
    needs = frozenset({"normal", "anomalies", "masks", "types"})
    yields = frozenset({"anomaly", "mask", "type", "normal"})
    Params: ClassVar[type[Params]] = AnomalyHybridParams
    presets = {"tiny": TINY, "quick": QUICK}
    imports = ("torch", "scipy.ndimage")
    params: AnomalyHybridParams
    makes_depth: ClassVar[bool] = False

    def missing(self, weights: Path | None = None) -> list[str]:
        return missing_sources(self.name, self.params, weights)

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        from generators.anomalyhybrid.fit import fit

        fit(self.name, self.params, data, out, ctx, star=self.makes_depth)

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        from generators.anomalyhybrid.sampling import sample

        yield from sample(self.name, self.params, model, data, request, ctx, star=self.makes_depth)


class AnomalyHybridStar(AnomalyHybrid):
    """The pair of AnomalyHybrid and AnomalyHybrid*: colour images with the depth that belongs to them."""

    name = "anomalyhybrid_star"
    needs = AnomalyHybrid.needs | {"depth"}
    yields = AnomalyHybrid.yields | {"depth"}
    presets = {
        "tiny": {**TINY, "depth": "dataset"},
        "quick": {**QUICK, "depth": "dataset", "steps": 300},
    }
    makes_depth = True
