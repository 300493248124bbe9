"""`bench gc` and `bench merge`."""

from pathlib import Path

from bench.errors import BenchError, did_you_mean
from bench.results.of_store import every_plan
from bench.store import open_store
from bench.store.store import check_writable
from bench.upkeep.garbage import KINDS, garbage
from bench.upkeep.merge import merge


def gc_command(store_root: Path, kinds: tuple[str, ...], dry_run: bool) -> None:
    """Drop the payloads of these kinds that no goal needs; print how much by stage."""
    for kind in kinds:
        if kind not in KINDS:
            raise BenchError(did_you_mean("kind of payload", kind, KINDS))
    store = open_store(store_root)
    check_writable(store)
    sizes: dict[str, list[int]] = {}
    with store.planning(alone=True):
        left_behind = 0 if dry_run else store.finish_drops()
        payloads = garbage(store, every_plan(store), kinds)
        for item in payloads:
            sizes.setdefault(item.stage, []).append(item.bytes if dry_run else store.drop(item.key))
    for stage, freed in sorted(sizes.items()):
        print(f"{stage:<22}{len(freed):>7} tasks {sum(freed) / 1e9:>9.2f} GB")
    if left_behind:
        print(f"{left_behind / 1e9:.2f} GB that a killed `bench gc` had left were deleted too")
    total = sum(sum(freed) for freed in sizes.values()) / 1e9
    if dry_run:
        print(f"{len(payloads)} payloads, {total:.2f} GB, would be dropped; records and costs would stay")
    else:
        print(f"{len(payloads)} payloads, {total:.2f} GB, dropped; records and costs stay")


def merge_command(other_root: Path, store_root: Path) -> int:
    """0 if every task of the other store is here now, 1 where some differ and stayed apart."""
    store = open_store(store_root, create=True)
    check_writable(store)
    other = open_store(other_root)
    merged = merge(store, other)
    for key in merged.differ:
        print(f"{key}: made here and there, with different bytes; what is here stays")
    for key in merged.unmatched:
        print(f"{key}: made from what is not here, so it stays apart")
    for key, fault in merged.damaged.items():
        print(f"{key}: damaged there ({fault}), so it is not taken")
    for name, fault in merged.refused.items():
        print(f"{name}: not taken: {fault}")
    print(
        f"{len(merged.copied)} tasks taken, {len(merged.equal)} were here, {len(merged.differ)} differ, "
        f"{len(merged.unmatched) + len(merged.damaged)} stay apart in {other_root}"
    )
    return 1 if merged.differ or merged.unmatched or merged.damaged or merged.refused else 0
