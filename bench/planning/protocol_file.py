"""From the name or the path of a protocol to what it says: its file, and the files that it extends.

    extends = "scales.toml"         a file beside this one, or beside a built-in protocol
    extends = "mvtec_supervised"    a built-in protocol

What a file states goes before what it extends. Tables are joined key by key, but a mix is replaced whole, and
a name, version, title or question is never inherited.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import BenchError, did_you_mean
from bench.files import file_text
from bench.methods import registry
from bench.planning.spec import ProtocolSpec, fault
from bench.record.labels import SCORE
from bench.tasks import digest
from bench.toml import parse_toml

_NOT_INHERITED = ("name", "version", "title", "question")


@dataclass(frozen=True)
class _Layer:
    """One file, with what it states itself, or hands on to those that extend it."""

    path: Path
    tables: Mapping[str, Any]


def load_protocol(name_or_path: str) -> ProtocolSpec:
    """The built-in protocol of this name or, where it ends in ".toml", the one in this file.

    BenchError names the file, the key and what is wrong; a user's protocol may not bear a built-in name.
    """
    built_in = registry.protocols()
    if not name_or_path.endswith(".toml"):
        if name_or_path not in built_in:
            raise BenchError(did_you_mean("protocol", name_or_path, built_in))
        return read_protocol(built_in[name_or_path])
    path = Path(name_or_path)
    spec = read_protocol(path)
    if spec.name == SCORE or (spec.name in built_in and path.resolve() != built_in[spec.name].resolve()):
        raise BenchError(f"{path}: name: a built-in protocol is named '{spec.name}'; choose another name")
    return spec


def read_protocol(path: Path) -> ProtocolSpec:
    """Read and check a protocol's file and what it extends; BenchError names the file and the key."""
    layers = list(_layers(path, ()))
    tables: dict[str, Any] = {}
    for layer in reversed(layers):
        tables = _joined(tables, layer.tables)
    try:
        return ProtocolSpec(**tables)
    except ValidationError as error:
        key, sentence = fault(error)
        raise BenchError(f"{_stating(layers, key)}: {sentence}") from None


def recorded_name(spec: ProtocolSpec) -> str:
    """The protocol's name in records and on pages: "name", or "name#digest" for a user's file.

    Records compare by protocol and version, and a built-in protocol raises its version when its rules change.
    A user's file is edited at will, and two people may choose one name. So the digest of its rules stands in
    its name, as that of a plug-in file's source stands in the id of its adapter. Left out is what changes no
    number (texts, and which rows, methods and seeds there are) and what every record states itself (counts of
    the scale): adding a detector leaves the earlier records where they are.
    """
    if spec.name in registry.protocols():
        return spec.name
    rules = spec.model_dump(mode="json", include={"version", "split", "baseline", "ic_lpips", "detectors"})
    rules["mixes"] = {name: [mix.shares, mix.generated_normals] for name, mix in spec.mixes.items()}
    rules["methods"] = {name: scale.model_dump(mode="json")["methods"] for name, scale in spec.scales.items()}
    return f"{spec.name}#{digest(rules)[:8]}"


def _layers(path: Path, extending: tuple[Path, ...]) -> Iterator[_Layer]:
    """A file, then what it extends, then what that extends."""
    if path.resolve() in [above.resolve() for above in extending]:
        raise BenchError(f"{extending[-1]}: extends: {path} is extended in a circle")
    tables = _read(path)
    extended = tables.pop("extends", None)
    if isinstance(counts := tables.get("counts"), str):
        tables["counts"] = _beside(path, "counts", counts)
    handed_on = {key: value for key, value in tables.items() if key not in _NOT_INHERITED}
    yield _Layer(path, handed_on if extending else tables)
    if extended is not None:
        yield from _layers(_extended(path, extended), (*extending, path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(file_text(path))
    except OSError as error:
        raise BenchError(f"the protocol file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise BenchError(f"{path} is not valid TOML: {error}") from None


def _extended(path: Path, extended: Any) -> Path:
    if not isinstance(extended, str):
        raise BenchError(f"{path}: extends: name one file or protocol (given: {extended!r})")
    if extended.endswith(".toml"):
        return _beside(path, "extends", extended)
    built_in = registry.protocols()
    if extended not in built_in:
        raise BenchError(f"{path}: extends: {did_you_mean('protocol', extended, built_in)}")
    return built_in[extended]


def _beside(path: Path, key: str, name: str) -> Path:
    """A file that a protocol's file names: beside it, or beside the built-in protocols."""
    for folder in (path.parent, *registry.protocol_folders()):
        try:
            if (folder / name).is_file():
                return (folder / name).absolute()
        except OSError:  # a name that no file system takes
            break
    raise BenchError(f"{path}: {key}: there is no file '{name}' beside it or beside the built-in protocols")


def _joined(base: Mapping[str, Any], more: Mapping[str, Any], whole: bool = False) -> dict[str, Any]:
    """Two tables key by key, first the keys of the second.

    Of two values the second counts, unless both are tables and these are not `whole`.
    """
    joined = {**more, **{key: value for key, value in base.items() if key not in more}}
    for key in base.keys() & more.keys() if not whole else ():
        if isinstance(base[key], dict) and isinstance(more[key], dict):
            joined[key] = _joined(base[key], more[key], whole=key == "mixes")
    return joined


def _stating(layers: Sequence[_Layer], key: Sequence[int | str]) -> Path:
    """The file that states a key, the nearest first; the protocol's own where none does."""
    for layer in layers:
        value: Any = layer.tables
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        if key and value is not None:
            return layer.path
    return layers[0].path
