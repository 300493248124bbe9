"""The generator interface."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from bench.methods.context import Context
from bench.methods.params import Adapter
from bench.methods.splits import CategoryTrain, TrainSplit

Scope = Literal["dataset", "category", "defect"]


@dataclass(frozen=True)
class Request:
    """Which images to make: `defect` is a type of the category, "good" for normal images, or "any"."""

    category: str
    defect: str
    indices: range


class Sample(NamedTuple):
    """One generated example at the resolution of the train split.

    image uint8 [H, W, 3]; mask bool [H, W], None for normal images; depth float32 [H, W] or None;
    base uint8 [H, W, 3], the normal image that was changed, or None.
    """

    image: np.ndarray
    mask: np.ndarray | None = None
    depth: np.ndarray | None = None
    base: np.ndarray | None = None


class Generator(Adapter):
    """Makes images and masks of defects from the train split of a data set."""

    scope: ClassVar[Scope]
    """What one fit covers."""
    needs: ClassVar[frozenset[str]]
    """Of normal, anomalies, masks, types, depth."""
    yields: ClassVar[frozenset[str]]
    """Of anomaly, mask, type, normal, depth."""

    derives: ClassVar[tuple[str, ...]] = ()
    """The parameters that decide what `derive` makes of images; empty where a generator makes nothing."""
    sampling_params: ClassVar[frozenset[str]] = frozenset()
    """The parameters that `sample` alone looks at. `fit` sees their defaults, and settings that differ in
    nothing else share one model."""

    @property
    def may_be_empty(self) -> bool:
        """Whether an anomaly may come with an empty mask, where it is kept as it was made."""
        return False

    def derive(self, category: CategoryTrain, out: Path, ctx: Context) -> None:
        """Write into `out` what fitting and sampling need of a category beside its images: edges, depth.

        Made once for a category and shared by all fits whose parameters in `derives` are equal, whatever
        their seed and scope, and found at `CategoryTrain.derived`. So it draws nothing from `ctx`.
        """
        raise NotImplementedError(f"'{self.name}' derives from {self.derives} and has no derive()")

    @abstractmethod
    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        """Learn from `data` and write the model into the folder `out`.

        A generator of scope "defect" sees the one category and the one defect type that it is to learn.
        """

    @abstractmethod
    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        """One Sample for each index of the request, in order; sample i depends on i alone."""
