"""What a report is made from: the records of a set of goals, and where their arrays and pictures lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.record.record import Record


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind: `pool` is a folder that `bench.data.pool.open_pool` reads."""

    category: str
    defect: str
    generator: str
    """"real" for the real third."""
    seed: int
    pool: Path
    rows: tuple[int, ...]


@dataclass(frozen=True)
class NearPair:
    """A generated image and the real one that it comes nearest to; rows of two pools."""

    category: str
    defect: str
    generator: str
    seed: int
    distance: float
    copy_distance: float
    """A generated image nearer than this to a real one counts as a copy."""
    is_test: bool
    """Whether the real image is a test image, which no generator may have seen."""
    generated: tuple[Path, int]
    real: tuple[Path, int]


@dataclass(frozen=True)
class Maps:
    """Anomaly maps of one detector on the test images of one category."""

    category: str
    detector: str
    generator: str
    mix: str
    seed: int
    pool: Path
    """The test images and their masks."""
    prediction: Path
    """Folder with amaps.npy float32 [N, H, W] and scores.npy float32 [N]."""


@dataclass(frozen=True)
class Trace:
    """The training curve of one fit: columns to float64 arrays of equal length, "step" among them."""

    detector: str
    generator: str
    mix: str
    category: str
    """"" where one model covers all categories."""
    seed: int
    columns: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall curves of one detector on one category, by the default rules."""

    category: str
    detector: str
    generator: str
    mix: str
    seed: int
    points: Mapping[str, Mapping[str, np.ndarray]]
    """Level ("image", "pixel") to "roc" (false positive rate, recall) and "pr" (recall, precision): float64
    [P, 2] each."""


@dataclass(frozen=True)
class DataNotes:
    """What the check of the data set found, and the near-duplicates across the split."""

    warnings: tuple[str, ...] = ()
    near_duplicates: tuple[Mapping[str, Any], ...] = ()
    """category, base, test (names of images), distance (bits of 64)."""


@dataclass(frozen=True)
class Results:
    """One protocol run on one data set, complete or not.

    `records` holds measured values, and one record with status "skipped" or "failed" and a reason in `note`
    for each cell that has none. `replicates(task)` gives the bootstrap replicates that the scoring task
    stored: "<level>.<metric>" to float64 [R]. Replicate r of every detector on one category and seed uses the
    same resample of test images, so differences of replicates are paired.
    """

    protocol: str
    scale: str
    dataset: str
    records: tuple[Record, ...]
    replicates: Callable[[str], Mapping[str, np.ndarray]]
    provenance: Mapping[str, Any]
    """command, seeds, data fingerprint, split counts, features, machine, packages: plain JSON."""
    banner: str = ""
    """A sentence that every page carries, e.g. that this is the built-in sample with embedded features."""
    galleries: tuple[Gallery, ...] = ()
    near_pairs: tuple[NearPair, ...] = ()
    maps: tuple[Maps, ...] = ()
    traces: tuple[Trace, ...] = ()
    curves: tuple[Curves, ...] = ()
    dialects: tuple[Record, ...] = ()
    """The same predictions scored as other repositories do; `records` hold the default rules alone."""
    data_notes: DataNotes = field(default_factory=DataNotes)
    baseline: str = "real"
    """The mix of the row, without a generator, that gains are counted from."""
    title: str = ""
    """What the protocol is about, in a line."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """Scoring task to the command that asked for it."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Key of each task, and each file beside the tasks, that is not as it was written, to what is wrong."""
    published: tuple[Record, ...] = ()
    """What papers printed for this protocol, on any data set; none of it is in `records`. Category "mean" is
    a paper's own mean. `why_incomparable(published, measured)` says what parts it from a measured value."""
