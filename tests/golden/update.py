"""Write adapters.json anew: `python tests/golden/update.py "why the outputs are the same"`.

adapters.json holds, for each built-in generator, detector and stage, its version and the digest of its
source. Where source changes, either the outputs may change, then the version goes up, or they cannot, then
the reason is written down here. Without either, results of old code would pass for results of the new.
"""

import ast
import hashlib
import json
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("adapters.json")
Entry = dict[str, Any]


def current() -> dict[str, dict[str, Entry]]:
    """Group to name to version, sha256 and modules, as the source is now."""
    from bench import registry
    from bench.stages import STAGES

    found: dict[str, dict[str, Entry]] = {}
    for kind in ("generator", "detector"):
        own = {
            e.name: e.value for e in entry_points(group=f"bench.{kind}s") if e.value.startswith(f"{kind}s.")
        }
        found[f"{kind}s"] = {
            name: entry(registry.load(kind, name).version, target) for name, target in sorted(own.items())
        }
    found["stages"] = {name: entry(stage.version, stage.target) for name, stage in sorted(STAGES.items())}
    return found


def entry(version: int, target: str) -> Entry:
    sources = reachable(target.partition(":")[0])
    text = "".join(f"{name} {hashlib.sha256(sources[name]).hexdigest()}\n" for name in sorted(sources))
    return {
        "version": version,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "modules": sorted(sources),
    }


def reachable(module: str) -> dict[str, bytes]:
    """The source of a module and of all that it imports, directly or not, from its own package or from the
    textures, which paint the anomalies of generators and detectors alike."""
    package = "bench.stages" if module.startswith("bench.stages.") else module.partition(".")[0]
    followed = (f"{package}.", "bench.textures.")
    found: dict[str, bytes] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = source_of(name)
        if name in found or name == package or path is None:
            continue
        found[name] = path.read_bytes()
        pending += [used for used in imported(found[name]) if used.startswith(followed)]
    return found


def imported(source: bytes) -> list[str]:
    """Every dotted name that the source imports, also within functions; `from a import b` gives a and a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative imports are not followed"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def source_of(name: str) -> Path | None:
    """The file of a module; None where the name is not one, as of a function in a module."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


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
