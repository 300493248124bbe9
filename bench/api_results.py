"""What the functions of `bench.api` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from bench.planning.plan import Plan
    from bench.results.run import Results
    from bench.store import Store
    from bench.tasks import Task


@dataclass(frozen=True)
class RunResult:
    """How a run, or the scoring of a folder, ended, and where its results lie."""

    state: Literal["planned", "done", "failed", "stopped"]
    """planned: a dry run; failed: a task failed, the rest is done; stopped: Ctrl-C ended it early."""
    store: Store
    plan: Plan
    goals: tuple[Task, ...]
    """The tasks whose outputs are the results."""
    ran: int = 0
    """How many tasks this call ran; what was in the store already is not run again."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Key of each task that failed to the reason."""
    blocked: Mapping[str, str] = field(default_factory=dict)
    """Key of each task that rests on a failed one to the reason."""
    refused: tuple[str, ...] = ()
    """A sentence per method, or pair of methods, that was asked for by name and cannot be run."""
    page: Path | None = None
    """The index of the HTML report, where one was written."""

    @property
    def ok(self) -> bool:
        """Whether everything that was asked for is there, or planned in a dry run."""
        return self.state in ("planned", "done") and not self.refused

    def results(self) -> Results:
        """Everything that a report is made from: records, bootstrap replicates, galleries, curves."""
        from bench.results.collect import collect

        return collect(self.plan, self.store)

    def records(self) -> pd.DataFrame:
        """The records of this run, one row per metric value, in the columns that `load` describes."""
        from bench.results.collect import records
        from bench.results.frame import frame_of
        from bench.store.checked import checked

        store = checked(self.store)
        rows = dict.fromkeys(records(self.plan, store))
        store.remember()
        return frame_of(rows)


@dataclass(frozen=True)
class IngestResult:
    """What was taken into a store."""

    kind: Literal["generator", "detector"]
    name: str
    """The name by which `run` knows it: `run(..., generators=[name])`, or `detectors`."""
    tasks: tuple[Task, ...]
    """The tasks that hold it."""
    notes: tuple[str, ...] = ()
    """What was left out, and what is missing."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found."""

    checked: int
    """Number of tasks whose files were read."""
    damaged: Mapping[str, str]
    """Key of each damaged task to what is wrong with it."""
    damaged_files: Mapping[str, str] = field(default_factory=dict)
    """Each plan and environment that is not what its name is the digest of to what is wrong with it."""
    unbound: int = 0
    """Tasks of an older version, whose costs, environment and commit are not bound to their content."""
    recomputed: int = 0
    """Scores that were made again and are equal in every file."""
    not_recomputable: Mapping[str, str] = field(default_factory=dict)
    """Key of each score that cannot be made again here to the reason."""


@dataclass(frozen=True)
class Comparison:
    """Two sets of results, cell by cell."""

    first: Results
    second: Results
    differences: tuple[Any, ...]
    """A `reports.board.comparison.Difference` per cell: means over the common categories first."""

    def frame(self) -> pd.DataFrame:
        """The differences as a DataFrame, one row per cell."""
        import pandas as pd

        return pd.DataFrame([asdict(difference) for difference in self.differences])
