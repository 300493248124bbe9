"""The manifest of a done task: what it made, from what, and at what cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Any

from bench.tasks import digest

_PROVENANCE = ("key", "content", "seconds", "gpu_seconds", "peak_memory", "env", "run", "host", "commit")
_MOST = 1 << 62
"""No task takes as many seconds or bytes; beyond it tables have no type for a number."""


@dataclass(frozen=True)
class Manifest:
    """What a done task made, from what, and at what cost."""

    key: str
    files: Mapping[str, Mapping[str, Any]]
    """Path below out/ to {"sha256", "size"}."""
    inputs: Mapping[str, str]
    """Key of each input to the `content` of its manifest: the lineage."""
    content: str
    """sha256 over `files` and `inputs`: equal for equal bytes made from equal bytes, whatever the time."""
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    peak_memory: int = 0
    """Bytes, of the process and of the GPU together."""
    env: str = ""
    run: str = ""
    host: str = ""
    commit: str = ""
    provenance: str = ""
    """sha256 over `content` and all that stands between; "" where an older version wrote the manifest."""

    @property
    def bytes(self) -> int:
        """Of all files of the payload."""
        return sum(file["size"] for file in self.files.values())

    @classmethod
    def of(
        cls, key: str, files: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, str], **facts: Any
    ) -> "Manifest":
        """The manifest of what was just made, with both digests."""
        content = digest({"files": files, "inputs": inputs})
        manifest = cls(key, files, inputs, content, **facts)
        return replace(manifest, provenance=provenance_digest(manifest))

    @property
    def fault(self) -> str:
        """What does not match in the manifest itself, or an empty text."""
        if self.content != digest({"files": self.files, "inputs": self.inputs}):
            return "its manifest was changed"
        if self.provenance and self.provenance != provenance_digest(self):
            return "its costs or its provenance were changed"
        return ""


def provenance_digest(manifest: Manifest) -> str:
    """What binds costs, environment, host and commit to the content."""
    return digest({name: getattr(manifest, name) for name in _PROVENANCE})


def manifest_of(content: Any) -> Manifest:
    """A manifest from its JSON. Raises ValueError that names what is of the wrong type.

    Another may have written it: a path that leaves the folder, or a size that is a text, goes no further.
    """
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    unknown = content.keys() - {field.name for field in fields(Manifest)}
    if unknown:
        raise ValueError(f"'{sorted(unknown)[0]}' is not a field of a manifest")
    try:
        manifest = Manifest(**content)
    except TypeError as error:
        raise ValueError(str(error)) from None
    for name, value in vars(manifest).items():
        if name not in ("files", "inputs") and not _fits(name, value):
            raise ValueError(f"'{name}' is {value!r:.40}")
    if not isinstance(manifest.files, dict) or not all(map(_is_file, manifest.files.items())):
        raise ValueError("'files' is not a list of paths with sha256 and size")
    inputs = manifest.inputs
    if not isinstance(inputs, dict) or not all(isinstance(content, str) for content in inputs.values()):
        raise ValueError("'inputs' is not a list of keys with the digest of their content")
    return manifest


def _fits(name: str, value: object) -> bool:
    if name in ("seconds", "gpu_seconds", "peak_memory"):
        is_number = type(value) is int or (type(value) is float and name != "peak_memory")
        return is_number and math.isfinite(value) and 0 <= value < _MOST  # type: ignore[arg-type, operator]
    return isinstance(value, str)


def _is_file(item: tuple[str, Any]) -> bool:
    name, facts = item
    if not (type(facts) is dict and facts.keys() == {"sha256", "size"}):
        return False
    is_inside = name[:1] not in ("", "/") and ".." not in name and PurePosixPath(name).as_posix() == name
    return is_inside and isinstance(facts["sha256"], str) and type(facts["size"]) is int
