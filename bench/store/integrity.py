"""Whether a stored task is as it was written."""

import json
from contextlib import suppress

from bench.errors import BenchError
from bench.store.store import Store, file_sha256
from bench.tasks import digest, key_of


def damage(store: Store, key: str) -> str:
    """What is wrong with a stored task, or an empty text."""
    folder = store.folder(key)
    try:
        manifest = store.manifest(key)
        definition = json.loads((folder / "task.json").read_text())
        definition_key = key_of(definition)
    except (BenchError, OSError, ValueError, TypeError):
        return "its manifest or definition cannot be read"
    if definition_key != key or manifest.key != key:
        return "its definition is not that of its key"
    if manifest.content != digest({"files": manifest.files, "inputs": manifest.inputs}):
        return "its manifest was changed"
    for name, facts in manifest.files.items():
        path = folder / "out" / name
        if not path.is_file():
            return f"{name} is missing"
        if {"size": path.stat().st_size, "sha256": file_sha256(path)} != facts:
            return f"{name} was changed"
    written = {
        path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*") if path.is_file()
    }
    extra = sorted(written - manifest.files.keys())
    if extra:
        return f"{extra[0]} was added"
    for used, content in manifest.inputs.items():
        with suppress(BenchError):  # an input that cannot be read is damaged itself, and told as that
            if store.done(used) and store.manifest(used).content != content:
                return f"its input {used[:12]} has other content than the one it was made from"
    return ""
