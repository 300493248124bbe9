"""The store: a folder of immutable task outputs, which survives a kill at any moment."""

from bench.store.leases import Lease, Leases
from bench.store.manifest import Manifest
from bench.store.store import Store, open_store

__all__ = ["Lease", "Leases", "Manifest", "Store", "open_store"]
