"""What `bench ingest` put into a store, by name."""

from collections.abc import Mapping
from typing import Any, Literal

from bench.errors import BenchError
from bench.store import Store
from bench.store.notes import read_note, write_note

Kind = Literal["generator", "detector"]


def ingested_methods(store: Store) -> dict[str, dict[str, Any]]:
    """Kind to name to what was registered: parameters of the tasks that hold it, by category (and defect)."""
    registered: dict[str, dict[str, Any]] = {"generator": {}, "detector": {}}
    for kind, methods in registered.items():
        for path in sorted((store.root / "sources").glob(f"ingested-{kind}-*.json")):
            entry = read_note(path, {"name": str, "tasks": dict})
            if entry is None:
                raise BenchError(f"{path} is damaged; delete it, then `bench ingest` again")
            methods[entry["name"]] = entry["tasks"]
    return registered


def register(store: Store, kind: Kind, name: str, tasks: Mapping[str, Any]) -> None:
    """Note an ingested method; a second ingest under one name replaces the first."""
    path = store.root / "sources" / f"ingested-{kind}-{name}.json"
    write_note(path, {"name": name, "tasks": tasks})
