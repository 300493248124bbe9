"""Write adapters.json anew: `python tests/golden/update.py "why the outputs are the same"`.

adapters.json holds, for each built-in generator, detector and stage, its version and the digest of the code
that it runs (`source_digest`). Where that changes, either the outputs may change, and then the version goes
up, or they cannot, and then the reason is written down here. Without either, results of old code would pass
for results of the new. Code that is moved or renamed keeps its digest: adapters.json is not written for that.
"""

import json
import runpy
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

digest = runpy.run_path(str(Path(__file__).with_name("source_digest.py")))["digest"]

SHARED = ("bench.methods.textures", "bench.methods.training")
"""Packages of the harness that make part of what adapters make: followed from each of them."""
RECORDED = Path(__file__).with_name("adapters.json")
Entry = dict[str, Any]


def current() -> dict[str, dict[str, Entry]]:
    """Group to name to version and sha256, as the source is now."""
    from bench.methods import registry
    from bench.stages import STAGES, stage_class

    found: dict[str, dict[str, Entry]] = {}
    for kind in ("generator", "detector"):
        own = {
            e.name: e.value for e in entry_points(group=f"bench.{kind}s") if e.value.startswith(f"{kind}s.")
        }
        found[f"{kind}s"] = {
            name: entry(registry.load(kind, name).version, target) for name, target in sorted(own.items())
        }
    found["stages"] = {
        name: entry(stage_class(name).version, target) for name, target in sorted(STAGES.items())
    }
    return found


def entry(version: int, target: str) -> Entry:
    package = "bench.stages" if target.startswith("bench.stages.") else target.partition(".")[0]
    return {"version": version, "sha256": digest(target, (package, *SHARED))[0]}


def recorded() -> dict[str, dict[str, Entry]]:
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def updated(
    now: dict[str, dict[str, Entry]], before: dict[str, dict[str, Entry]], reason: str
) -> dict[str, dict[str, Entry]]:
    """What is to be recorded; ValueError where a version goes down, or source changed and nothing is said."""
    written: dict[str, dict[str, Entry]] = {}
    for group, entries in now.items():
        written[group] = {}
        for name, entry in entries.items():
            old = before.get(group, {}).get(name)
            if old is not None and old["sha256"] == entry["sha256"] and old["version"] == entry["version"]:
                written[group][name] = old
                continue
            if old is not None and entry["version"] < old["version"]:
                raise ValueError(f"{group}/{name} had version {old['version']} and has {entry['version']}")
            if old is not None and entry["version"] > old["version"]:
                told = reason or f"version {entry['version']}: outputs may differ"
            elif reason:
                told = reason
            else:
                raise ValueError(f"{group}/{name} changed and has the same version: give a reason")
            written[group][name] = {**entry, "reason": told}
    return written


if __name__ == "__main__":
    try:
        result = updated(current(), recorded(), " ".join(sys.argv[1:]).strip())
    except ValueError as error:
        sys.exit(str(error))
    RECORDED.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
