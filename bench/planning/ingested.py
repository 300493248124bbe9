"""What `bench ingest` put into a store, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.errors import BenchError
from bench.record.trained_elsewhere import UNSTATED, TrainedElsewhere
from bench.store import Store
from bench.store.notes import read_note, write_note

Kind = Literal["generator", "detector"]


@dataclass(frozen=True)
class IngestedMethod:
    """What `bench ingest` registered under a name."""

    tasks: Mapping[str, Any]
    """Parameters of the tasks that hold it, by category (and defect)."""
    trained: TrainedElsewhere = UNSTATED
    """Of a detector."""


def ingested_methods(store: Store) -> dict[str, dict[str, IngestedMethod]]:
    """Kind to name to what was registered."""
    registered: dict[str, dict[str, IngestedMethod]] = {"generator": {}, "detector": {}}
    for kind, methods in registered.items():
        for path in sorted((store.root / "sources").glob(f"ingested-{kind}-*.json")):
            try:
                entry = read_note(path, {"name": str, "tasks": dict})
                trained = TrainedElsewhere.of(entry.get("trained", {}))
                methods[entry["name"]] = IngestedMethod(entry["tasks"], trained)
            except (ValueError, LookupError, TypeError, AttributeError):
                raise BenchError(f"{path} is damaged; delete it, then `bench ingest` again") from None
    return registered


def register(
    store: Store, kind: Kind, name: str, tasks: Mapping[str, Any], trained: TrainedElsewhere | None = None
) -> None:
    """Note an ingested method; a second ingest under one name replaces the first."""
    path = store.root / "sources" / f"ingested-{kind}-{name}.json"
    entry: dict[str, Any] = {"name": name, "tasks": tasks}
    if trained is not None:
        entry["trained"] = trained.to_json()
    write_note(path, entry)
