"""Which store a merged task came from."""

import json
from pathlib import Path

from bench.store.store import Store, read_regular, write_atomically

_ORIGIN = "origin.json"
_MARK = "merged"


def mark_origin(store: Store, aside: Path, other: Store) -> None:
    """Note, in the folder of a task that is about to be taken in, the store that it is from."""
    (aside / _ORIGIN).unlink(missing_ok=True)  # what the other store says of itself is not ours to repeat
    write_atomically(aside / _ORIGIN, json.dumps({"store": uuid_of(other)}))
    mark = store.root / "runs" / _MARK
    if not mark.exists():
        write_atomically(mark, "")


def has_merged(store: Store) -> bool:
    """Whether anything was ever merged into a store; most stores need no look at each task."""
    return (store.root / "runs" / _MARK).exists()


def origin(store: Store, key: str) -> str:
    """The store that a task was merged from, "" where it was made here."""
    try:
        uuid = json.loads(read_regular(store.folder(key) / _ORIGIN))["store"]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, LookupError, TypeError):
        return "unknown"
    return uuid if isinstance(uuid, str) else "unknown"


def uuid_of(store: Store) -> str:
    """The name of a store, which a copy of it shares."""
    try:
        uuid = json.loads(read_regular(store.root / "store.json"))["uuid"]
    except (OSError, ValueError, LookupError, TypeError):
        return "unknown"
    return uuid if isinstance(uuid, str) and uuid.isalnum() and len(uuid) <= 64 else "unknown"
