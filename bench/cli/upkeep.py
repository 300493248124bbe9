"""`bench gc` and `bench merge`."""

from pathlib import Path

from bench.errors import BenchError, did_you_mean
from bench.results.of_store import every_plan
from bench.store import open_store
from bench.store.store import check_writable
from bench.upkeep.garbage import KINDS, garbage
from bench.upkeep.merge import merge


def gc_command(store_root: Path, kinds: tuple[str, ...], dry_run: bool) -> None:
    """Drop the payloads of these kinds that no goal needs; tell how much by stage."""
    for kind in kinds:
        if kind not in KINDS:
            raise BenchError(did_you_mean("kind of payload", kind, KINDS))
    store = open_store(store_root)
    check_writable(store)
    sizes: dict[str, list[int]] = {}
    with store.planning(alone=True):
        found = garbage(store, every_plan(store), kinds)
        for item in found:
            sizes.setdefault(item.stage, []).append(item.bytes if dry_run else store.drop(item.key))
    for stage, freed in sorted(sizes.items()):
        print(f"{stage:<22}{len(freed):>7} tasks {sum(freed) / 1e9:>9.2f} GB")
    total = sum(sum(freed) for freed in sizes.values()) / 1e9
    if dry_run:
        print(f"{len(found)} payloads, {total:.2f} GB, would be dropped; records and costs would stay")
    else:
        print(f"{len(found)} payloads, {total:.2f} GB, dropped; records and costs stay")


def merge_command(other_root: Path, store_root: Path) -> int:
    """0 if every task of the other store is here now, 1 where some differ and stayed apart."""
    store = open_store(store_root, create=True)
    check_writable(store)
    other = open_store(other_root)
    found = merge(store, other)
    for key in found.differ:
        print(f"{key}: made here and there, with different bytes; what is here stays")
    for key in found.apart:
        print(f"{key}: made from what is not here, so it stays apart")
    for key, fault in found.damaged.items():
        print(f"{key}: damaged there ({fault}), so it is not taken")
    print(
        f"{len(found.taken)} tasks taken, {len(found.equal)} were here, {len(found.differ)} differ, "
        f"{len(found.apart) + len(found.damaged)} stay apart in {other_root}"
    )
    return 1 if found.differ or found.apart or found.damaged else 0
