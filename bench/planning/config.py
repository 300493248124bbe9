"""What a protocol plans from: frozen values, validated before."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.data.view import View
from bench.errors import BenchError
from bench.methods import Adapter, Detector, Generator
from bench.record.labels import CellLabels, titled
from bench.record.trained_elsewhere import UNSTATED, TrainedElsewhere


@dataclass(frozen=True)
class ResolvedMethod:
    """A generator or detector with its parameters filled in."""

    kind: Literal["generator", "detector"]
    name: str
    id: str
    """"name@version", as it stands in task keys."""
    version: int
    params: Mapping[str, Any]
    params_digest: str
    variant: str = ""
    """The preset that the user named in brackets."""
    preset: str = ""
    """The preset in effect: the named one, or that of the scale."""
    scope: str = ""
    adapter: type[Adapter] | None = None
    """None for what was ingested."""
    ingested: Mapping[str, Any] | None = None
    """For ingested methods: category to what `bench ingest` registered."""
    trained: TrainedElsewhere = UNSTATED
    """For ingested detectors: what is known of their training."""
    balanced: bool = True
    """For detectors: whether batches are drawn by the shares of the mix, or from all images alike."""
    weights: str = ""
    """For generators: digest of the weights that it starts from, where its parameters do not say it all."""
    missing_requirement: str = ""
    """The sentence about what this machine has not; the method's cells are skipped for it."""
    own_view: Callable[[str], View | None] = field(default=lambda category: None, compare=False)
    """`Adapter.view` under these parameters."""

    @property
    def title(self) -> str:
        """As the user names it, "seas[released]": what tells the variants of one method apart in a run."""
        return titled(self.name, self.variant)

    @property
    def as_generator(self) -> type[Generator]:
        """The class of a generator that was not ingested."""
        assert self.adapter is not None and issubclass(self.adapter, Generator), self.id
        return self.adapter

    @property
    def as_detector(self) -> type[Detector]:
        """The class of a detector that was not ingested."""
        assert self.adapter is not None and issubclass(self.adapter, Detector), self.id
        return self.adapter


@dataclass(frozen=True)
class DataPart:
    """One part (normal, base, test) of a category: its content, and how many images of each kind."""

    digest: str
    counts: Mapping[str, int]
    """Defect type, or "good", to the number of images."""

    @property
    def count(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class CategoryPlan:
    """One category under one split."""

    name: str
    has_types: bool
    has_depth: bool
    """Whether every image has a depth map."""
    has_masks: bool
    normal: DataPart
    base: DataPart
    test: DataPart

    @property
    def defects(self) -> tuple[str, ...]:
        return tuple(self.base.counts)


@dataclass(frozen=True)
class SplitPlan:
    """The data set under one split."""

    name: str
    shots: str
    categories: tuple[CategoryPlan, ...]


@dataclass(frozen=True)
class Mix:
    """What a row trains on."""

    shares: Mapping[str, float]
    """Of a training batch: normal, pseudo, real, generated."""
    generated_normals: bool = False
    """Whether normal images are the generator's too, beside those of train/good."""


@dataclass(frozen=True)
class PlanConfig:
    """All that a protocol's plan depends on."""

    protocol: str
    version: int
    scale: str
    preset: str
    dataset: str
    fingerprint: str
    splits: Mapping[int, SplitPlan]
    """Seed to split; the same one for every seed unless the split is drawn."""
    generators: tuple[ResolvedMethod, ...]
    detectors: tuple[ResolvedMethod, ...]
    seeds: tuple[int, ...]
    resolution: int
    generated_per_type: int
    chunk: int
    """Samples a task, so that a kill costs a chunk."""
    replicates: int
    """Bootstrap resamples of the test images."""
    features: str
    features_weights: str
    """Digest of the weights of the feature networks."""
    selection: str
    score: tuple[str, ...] = ()
    """Of near-duplicates, anomalies, normals: what is scored beside the detectors."""
    mixes: Mapping[str, Mix] = field(default_factory=dict)
    rows_alone: tuple[str, ...] = ()
    """Mixes that each detector is trained on once."""
    rows_generated: tuple[str, ...] = ()
    """Mixes that each detector is trained on with the images of every generator."""
    modalities: tuple[str, ...] = ("rgb",)
    """Of rgb, depth, rgb+depth: what detectors of colour images are given."""
    ic_lpips: tuple[str, ...] = ("default",)
    """Dialects of IC-LPIPS, the default first."""
    kid: tuple[str, ...] = ("default",)
    """Dialects of KID, the default first."""

    @property
    def frame(self) -> View:
        """What is scored: whole images at the size of the protocol."""
        return View(self.resolution)

    def view(self, method: ResolvedMethod, category: str) -> View:
        """What a method sees of the images of a category."""
        return method.own_view(category) or self.frame

    def side(self, method: ResolvedMethod, categories: Collection[str]) -> int:
        """The side of the images of one fit. BenchError where its categories have several."""
        sides = {self.view(method, category).side for category in categories}
        if len(sides) > 1:
            raise BenchError(
                f"'{method.name}' asks for images of {', '.join(map(str, sorted(sides)))} pixels in one fit; "
                f"give all categories one side, or --set {method.name}.scope=category"
            )
        return sides.pop()


@dataclass(frozen=True)
class Skipped:
    """A cell that cannot be: its labels, the metrics it would have had, and why."""

    labels: CellLabels
    metrics: tuple[tuple[str, str], ...]
    """(level, metric) pairs."""
    reason: str
