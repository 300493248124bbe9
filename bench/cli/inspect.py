"""`bench list`, `show`, `status`, `log`: what there is, and how the last run goes."""

import json
import os
import shlex
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.methods import registry
from bench.planning.protocol_file import load_protocol
from bench.runner.find_run import last_run
from bench.store import Store, open_store

_KINDS = ("generator", "detector", "protocol")


def list_command(kinds: str, plugins: Sequence[Path]) -> None:
    registry.load_plugins([str(path) for path in plugins])
    for kind in _KINDS if kinds == "all" else (kinds.removesuffix("s"),):
        print(f"{kind}s")
        for name in registry.names(kind):
            text = load_protocol(name).question if kind == "protocol" else registry.load(kind, name).__doc__
            print(f"  {name:<18} {_first_line(text)}")


def show_command(name: str, store_root: Path, plugins: Sequence[Path]) -> None:
    registry.load_plugins([str(path) for path in plugins])
    if name.endswith(".toml"):
        _show_protocol(name)
        return
    for kind in _KINDS:
        if name in registry.names(kind):
            _show_protocol(name) if kind == "protocol" else _show_adapter(kind, name)
            return
    if len(name) >= 6 and set(name) <= set("0123456789abcdef"):
        _show_task(open_store(store_root), name)
        return
    names = [known_name for kind in _KINDS for known_name in registry.names(kind)]
    raise BenchError(
        registry.not_installed(name, *registry.GROUPS)
        or did_you_mean("generator, detector or protocol", name, names)
    )


def status_command(store_root: Path) -> None:
    store = open_store(store_root)
    journal, plan = last_run(store)
    done = sum(store.done(key) for key in plan.goals)
    print(journal["command"])
    print(f"{done} of {len(plan.goals)} results are there, {len(plan.skipped)} cells are skipped")
    alive = journal["ended"] is None and _runs(journal)
    if alive:
        print(f"running on {journal['host']} since {_ago(journal['begun'])}:")
        for key, task in journal["running"].items():
            moved = f"{task['done']}/{task['total']} {task['note']}" if task["total"] else ""
            print(f"  {task['title']}, {_ago(task['since'])} {moved}".rstrip())
            if why := journal["again"].get(key):
                print(f"    {why}")
    elif journal["ended"] is None:
        print("the run was killed; the same command goes on from where it was")
    for key, node in plan.nodes.items():
        failure = None if store.done(key) else store.failure(key)
        if failure is not None:
            print(f"FAILED {node.title}: {failure['error']}")
            print(f"  bench log {key[:12]} --store {shlex.quote(str(store.root))}")


def log_command(key: str, store_root: Path) -> None:
    store = open_store(store_root)
    whole_key = find_key(store, key)
    log = store.folder(whole_key) / "log.txt"
    if log.exists():
        print(log.read_text(errors="replace"), end="")
        return
    failure = store.failure(whole_key)
    print(failure.get("log") or failure["error"] if failure else "")


def find_key(store: Store, start: str) -> str:
    """The one key, of a done or failed task, that begins like this."""
    if not start or not set(start) <= set("0123456789abcdef"):
        raise BenchError(f"'{start}' is not a key of a task; `bench status` and the page show keys")
    keys = {path.name for path in (store.root / "tasks").glob(f"{start[:2]}*/{start}*")}
    keys |= {path.stem for path in (store.root / "failures").glob(f"{start}*.json")}
    if len(keys) != 1:
        what = "no task has a key that begins" if not keys else f"{len(keys)} tasks have keys that begin"
        raise BenchError(f"{what} with '{start}' in {store.root}; `bench status` and the page show keys")
    return keys.pop()


def _show_adapter(kind: str, name: str) -> None:
    adapter = registry.load(kind, name)
    print(f"{kind} {registry.adapter_id(kind, name)}: {_first_line(adapter.__doc__)}")
    facts = ("needs", "yields") if kind == "generator" else ("task", "modality")
    for fact in ("scope", *facts):
        value = getattr(adapter, fact)
        print(f"  {fact}: {', '.join(sorted(value)) if isinstance(value, frozenset) else value}")
    view = adapter.configure().view()
    print(f"  images: {f'{view}, from the files' if view else 'whole, at the size of the protocol'}")
    print("parameters (default: the paper's)")
    for field, info in adapter.Params.model_fields.items():
        print(
            f"  {field} = {info.get_default(call_default_factory=True)!r}  {info.description or ''}".rstrip()
        )
    for preset, values in adapter.presets.items():
        print(f"preset {name}[{preset}]: {', '.join(f'{key}={value}' for key, value in values.items())}")


def _show_protocol(name_or_file: str) -> None:
    spec = load_protocol(name_or_file)
    print(f"protocol {spec.name}@{spec.version}: {spec.title}")
    print(f"  split: {spec.split}")
    for name, mix in spec.mixes.items():
        shares = ", ".join(f"{share:.0%} {pool}" for pool, share in mix.shares.items())
        more = "; normal images are the generator's too" if mix.generated_normals else ""
        print(f"  {name}: {shares} of a batch{more}")
    print(f"  gains are counted from: {spec.baseline}")
    if spec.note:
        print(f"  {spec.note}")
    for label, scale in spec.scales.items():
        print(
            f"scale {label}: {scale.resolution} x {scale.resolution} pixels, "
            f"{scale.generated_per_type} images per type, seeds {scale.seeds}\n"
            f"  generators: {', '.join(scale.generators)}\n  detectors: {', '.join(scale.detectors)}"
        )


def _show_task(store: Store, start: str) -> None:
    key = find_key(store, start)
    if not store.done(key):
        print(json.dumps(store.failure(key), indent=1, sort_keys=True))
        return
    manifest = store.manifest(key)
    print(json.dumps(store.definition(key), indent=1, sort_keys=True))
    print(
        f"took {manifest.seconds} s and {manifest.peak_memory >> 20} MiB, run {manifest.run}, {manifest.host}"
    )
    for path, file in manifest.files.items():
        print(f"  {file['size']:>12}  {path}")


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _ago(since: float) -> str:
    return f"{max(0.0, time.time() - since):.0f} s"


def _runs(journal: dict[str, Any]) -> bool:
    """Whether the driver still lives, as far as this machine can tell."""
    if journal["host"] != socket.gethostname():
        return True
    try:
        os.kill(journal["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
