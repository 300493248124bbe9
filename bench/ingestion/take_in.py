"""Take in what was made elsewhere, now, so that the folder may go afterwards."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.data.layout import find_dataset
from bench.errors import BenchError
from bench.ingestion.content import IngestedContent, ingest_images, ingest_predictions
from bench.methods import registry
from bench.planning.ingested import register
from bench.planning.prepare import prepare
from bench.record.trained_elsewhere import UNSTATED, TrainedElsewhere
from bench.runner.machine import Machine, run_tasks
from bench.runner.view import RunView
from bench.store import Store, open_store
from bench.store.store import check_writable


@dataclass(frozen=True)
class IngestRequest:
    """What is taken in, under which name, and for which data set."""

    kind: Literal["generator", "detector"]
    name: str
    source: Path
    data: Path
    split: str | None = None
    """For a detector: the split whose test images its outputs are of."""
    seed: int = 0
    trained: TrainedElsewhere = UNSTATED
    """For a detector: what is known of its training."""
    all_warnings: bool = False
    """Print each warning, not one line per kind and folder."""

    def check(self) -> None:
        """Raise BenchError where the name is not one, or taken, or where the folder is missing."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise BenchError(f"'{self.name}' is not a name: use letters, digits, '_', '-' and '.'")
        if self.name in registry.names(self.kind):
            raise BenchError(
                f"'{self.name}' is a built-in {self.kind}; choose another name for what was made elsewhere"
            )
        self.trained.check()
        if self.kind == "generator" and self.trained != UNSTATED:
            raise BenchError(
                "--mix, --scope, --selection and --generated-per-type are of a detector; leave them out"
            )
        if not self.source.is_dir():
            raise BenchError(
                f"the folder {self.source} does not exist; --from names the folder that holds the files"
            )


def take_in(request: IngestRequest, store_root: Path, view: RunView) -> IngestedContent:
    """Check the folder against the data set, copy it into the store, register it under its name."""
    request.check()
    store = open_store(store_root, create=True)
    check_writable(store)
    content = _content(request, store, view)
    for note in content.notes_of(request.all_warnings):
        view.say(note)
    journal = {"plan": None, "command": f"bench ingest --{request.kind} {request.name}"}
    outcome = run_tasks(store, content.tasks, Machine(), view, journal)
    if outcome.failed:
        raise BenchError(next(iter(outcome.failed.values())))
    if outcome.drained:
        raise KeyboardInterrupt
    trained = request.trained if request.kind == "detector" else None
    register(store, request.kind, request.name, content.params, trained)
    return content


def _content(request: IngestRequest, store: Store, view: RunView) -> IngestedContent:
    if request.kind == "generator":
        return ingest_images(store, find_dataset(request.data), request.source, request.name)
    rule = request.split or "first-third@1"
    data = prepare(
        request.data,
        store,
        categories=None,
        rule=rule,
        shots=None,
        seeds=[request.seed],
        pinned=None,
        resolution=256,
        progress=view.step("reading the data set"),
    )
    for warning in data.warnings:
        view.say(f"warning: {warning}")
    return ingest_predictions(store, data, rule, request.seed, request.source, request.name)
