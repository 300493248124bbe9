"""The adapter: what SeaS needs and makes, and what of it is missing. Loads no torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from bench.errors import BenchError, did_you_mean
from bench.methods import CategoryTrain, Generator, Params, Request, Sample, TrainSplit, View
from bench.methods.context import Context
from generators.seas.params import PRESETS, SAMPLING, SeaSParams
from generators.seas.weights import find_base, fingerprint, missing_base, missing_packages

GOOD = "good"


class SeaS(Generator):
    """Fine-tunes Stable Diffusion on one product: its anomalies with masks, and normal images."""

    name = "seas"
    version = 3
    scope = "category"
    frugal = frozenset({"fit"})
    needs = frozenset({"normal", "anomalies", "masks", "types"})
    yields = frozenset({"anomaly", "mask", "type", "normal"})
    Params: ClassVar[type[Params]] = SeaSParams
    presets = PRESETS
    imports = ("generators.seas.fitting", "generators.seas.sampling")
    sampling_params = SAMPLING
    params: SeaSParams

    def view(self, category: str = "") -> View | None:
        """Its side, cut from the centre of the original images, as the released code does."""
        return View(self.params.side, "crop")

    @property
    def may_be_empty(self) -> bool:
        """Whether an anomaly may come with an empty mask, as in the released code."""
        return self.params.empty_masks == "keep"

    def missing(self, weights: Path | None = None) -> list[str]:
        packages = ("bitsandbytes",) if self.params.optimizer == "8bit" else ()
        return [
            *missing_packages(self.name),
            *missing_packages(self.name, packages),
            *missing_base(self.name, self.params.base, weights),
        ]

    def weights_digest(self, weights: Path | None = None) -> str:
        base = find_base(self.params.base, weights)
        return "" if base is None else fingerprint(base)

    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        """Learn each product: `out/<category>` gets the U-Net, the token rows and the mask branch.

        Goes on from `ctx.scratch` after a kill. Raises BenchError where there is nothing to learn from.
        """
        from generators.seas.fitting import fit_product

        for category in data.categories.values():
            fit_product(self.name, self.params, category, self._base(ctx), out / category.name, ctx)

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        """Whole images, made in groups of `sampling_batch` so that image i depends on i alone."""
        category = self._requested(data, request)
        from generators.seas.sampling import sample_product

        return sample_product(
            self.params, model / category.name, category, request, self._base(ctx), data.resolution, ctx
        )

    def _base(self, ctx: Context) -> Path:
        base = find_base(self.params.base, ctx.weights)
        if base is None:
            raise BenchError(missing_base(self.name, self.params.base, ctx.weights)[0])
        return base

    def _requested(self, data: TrainSplit, request: Request) -> CategoryTrain:
        if request.category not in data.categories:
            raise BenchError(did_you_mean("category", request.category, data.categories))
        category = data.categories[request.category]
        if request.defect not in (GOOD, *category.anomalies):
            raise BenchError(did_you_mean("defect", request.defect, category.anomalies, of=category.name))
        return category
