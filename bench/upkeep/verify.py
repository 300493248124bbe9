"""Is what lies in the store what was written, and does it still score the same?"""

from dataclasses import dataclass, field

from bench.errors import BenchError
from bench.planning.plan import load_plan
from bench.runner.execute import failure_of
from bench.store import Store
from bench.store.integrity import damage, environment_fault
from bench.upkeep.recompute import recompute as score_again


@dataclass
class Look:
    """What a look at every file of a store has shown."""

    checked: int = 0
    """Number of tasks whose files were read."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Key of each damaged task to what is wrong with it."""
    damaged_files: dict[str, str] = field(default_factory=dict)
    """Plans and environments, by their path in the store, that are not those of their names."""
    unbound: int = 0
    """Number of tasks of a version whose manifests do not bind costs, environment, host and commit."""
    recomputed: int = 0
    not_recomputable: dict[str, str] = field(default_factory=dict)
    """Key of each score that cannot be made again here to the reason; that is no damage."""


def look_at(store: Store, *, recompute: bool = False) -> Look:
    """Hash every file again; with `recompute` scores are also made again from what is stored."""
    look = Look(damaged_files=_files_beside(store))
    sound = []
    for key in (folder.name for folder in store.task_folders()):
        with store.planning():  # `bench gc` drops nothing meanwhile
            if store.dropped(key):
                continue
            look.checked += 1
            fault = damage(store, key)
            if fault:
                look.damaged[key] = fault
            else:
                sound.append(key)
                look.unbound += not store.manifest(key).provenance
    if recompute:
        again = score_again(store, sound)
        look.damaged.update(again.faults)
        look.recomputed, look.not_recomputable = again.same, again.impossible
    return look


def remove_damaged(store: Store, key: str, fault: str) -> None:
    """Take a damaged task out, and leave a note by which the next run that rests on it makes it again.

    What `bench gc` has dropped since it was looked at stays: its costs are no damage.
    """
    with store.planning():
        if store.dropped(key):
            return
        try:
            definition = store.definition(key)
        except BenchError:
            definition = {}
        store.remove(key)
        why = BenchError(
            f"it was damaged ({fault}) and removed by `bench verify`; run the same command again"
        )
        store.record_failure(key, {**failure_of(why, definition, ""), "damaged": True})


def _files_beside(store: Store) -> dict[str, str]:
    """Plans and environments whose content is not what their name is the digest of."""
    faults = {}
    for path in sorted((store.root / "env").glob("*.json")):
        if fault := environment_fault(store, path.stem):
            faults[f"env/{path.name}"] = fault
    for path in sorted((store.root / "runs").glob("*.plan")):
        try:
            load_plan(path)
        except BenchError as error:
            faults[f"runs/{path.name}"] = str(error)
    return faults
