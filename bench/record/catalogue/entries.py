"""The kinds of entries of the catalogue. Each is frozen, and said once in the whole project."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """One metric, at all levels that it is taken at."""

    name: str
    title: str
    """Short name, for filters and sentences."""
    sentence: str
    """What it is, for the glossary of a page."""
    levels: tuple[str, ...]
    unit: str = "fraction"
    """"fraction" is written as a percentage; "1" is a plain number."""
    direction: Direction = "higher"
    table: Literal["images", "honesty", "detectors", "cost"] = "detectors"
    """The table of a page that shows it; "honesty" asks about images what the papers do not measure."""
    dialects: tuple[str, ...] = ("default",)
    """The names of all rules under which a value may be recorded."""
    headline: Mapping[str, int] = field(default_factory=dict)
    """Levels at which it stands for a whole detector, each with its place in the order of preference."""
    brief: bool = False
    """Whether a terminal, which has little room, shows it of generated images."""
    by_type: bool = False
    """Whether it is taken within one defect type, so that a generator without types has none."""
    tolerance: float = 0.01
    """How far a fixed seed may move it from one machine to another, in its own unit."""
    relative: float = 0.0
    """The same as a part of its value; added to `tolerance`."""
    unrecorded: str = ""
    """Why no stage records it; empty where one does."""
    head: str = ""
    """Head of a column by the default rule; empty for the title, which must not be taken for another rule."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headline", dict(self.headline))


@dataclass(frozen=True)
class Level:
    """What is measured: generated images, test images, their pixels, or the cost of it."""

    name: str
    title: str
    unrecorded: str = ""


@dataclass(frozen=True)
class Scoring:
    """How predictions become detection metrics: the choices in which repositories differ.

    A dialect changes one choice of the exact rules; the bundle of a repository names all of its own.
    """

    mask_filter: Literal["area", "bilinear", "bilinear-antialias", "nearest"] = "area"
    mask_rule: Literal["half", "truncate", "nonzero"] = "half"
    image_score: Literal["max", "pool21"] = "max"
    thresholds: Literal["all", "grid21", "grid21-minmax", "grid101", "argmax"] = "all"
    ap: Literal["steps", "trapezoid"] = "steps"
    iou: Literal["category", "image", "image-truncate"] = "category"
    """Whether one threshold is best for a category, or each anomalous image has its own; and whether masks
    are then truncated whatever `mask_rule` says, which leaves out the images that have nothing left."""
    image_label: Literal["folder", "mask"] = "folder"
    """Whether an image is defective by its folder, or by what the resize leaves of its mask."""


@dataclass(frozen=True)
class Dialect:
    """One rule by which a metric is computed."""

    name: str
    clause: str
    """To follow the metric's title: "AP by trapezoids"."""
    sentence: str
    """For the glossary of a page."""
    scoring: Scoring | None = None
    """What it changes of the exact rules of detection metrics; None where it is a dialect of others."""
    unrecorded: str = ""
    """Why no stage records it; empty where one does."""


@dataclass(frozen=True)
class MixEntry:
    """One way to mix the images that a detector is trained on."""

    name: str
    title: str
    clause: str
    plain_row: str = ""
    """What to call a row that trains on it without a generator; empty where a generator is needed."""


@dataclass(frozen=True)
class Wording:
    """The value of a field of records, in words: a selection of checkpoints, a scope of models."""

    name: str
    clause: str
    unrecorded: str = ""
