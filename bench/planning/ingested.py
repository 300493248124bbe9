"""What `bench ingest` put into a store, by name."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from bench.errors import BenchError
from bench.store import Store
from bench.store.store import write_atomically

Kind = Literal["generator", "detector"]


def ingested_methods(store: Store) -> dict[str, dict[str, Any]]:
    """Kind to name to what was registered: parameters of the tasks that hold it, by category (and defect)."""
    registered: dict[str, dict[str, Any]] = {"generator": {}, "detector": {}}
    for kind, methods in registered.items():
        for path in sorted((store.root / "sources").glob(f"ingested-{kind}-*.json")):
            try:
                entry = json.loads(path.read_text())
                methods[entry["name"]] = entry["tasks"]
            except (ValueError, LookupError, TypeError):
                raise BenchError(f"{path} is damaged; delete it, then `bench ingest` again") from None
    return registered


def register(store: Store, kind: Kind, name: str, tasks: Mapping[str, Any]) -> None:
    """Note an ingested method; a second ingest under one name replaces the first."""
    path = store.root / "sources" / f"ingested-{kind}-{name}.json"
    write_atomically(path, json.dumps({"name": name, "tasks": tasks}, sort_keys=True, indent=1))
