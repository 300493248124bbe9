"""Finding adapters, protocols, plans and pages by name, importing nothing before it is used."""

import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.methods import Adapter, Detector, Generator
from bench.methods.error_line import code_of, sentence_of
from bench.toml import TOMLDecodeError, parse_toml

GROUPS = {"generator": "bench.generators", "detector": "bench.detectors"}
_DECLARED = {
    "generator": ("name", "version", "scope", "needs", "yields"),
    "detector": ("name", "version", "scope", "task", "modality"),
}
_PLUGINS: dict[str, dict[str, tuple[type[Adapter], str]]] = {"generator": {}, "detector": {}}


@functools.cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def names(kind: str) -> list[str]:
    """The names of all known generators, detectors or protocols, sorted."""
    if kind == "protocol":
        return sorted(protocols())
    return sorted({*_entries(GROUPS[kind]), *_PLUGINS[kind]})


def load(kind: str, name: str) -> Any:
    """The adapter class of this name; raises BenchError with the nearest name if it is unknown."""
    if name in _PLUGINS[kind]:
        return _PLUGINS[kind][name][0]
    entries = _entries(GROUPS[kind])
    if name not in entries:
        raise BenchError(not_installed(name, kind) or did_you_mean(kind, name, names(kind)))
    try:
        return entries[name].load()
    except ImportError as error:
        raise BenchError(f"{kind} '{name}' cannot be imported: {error}") from error


def not_installed(name: str, *kinds: str) -> str | None:
    """The sentence for a method that a pyproject.toml, here or beside the harness, declares and Python does
    not know: entry points are read when a package is installed, also where it is editable."""
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        try:
            project = parse_toml((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            declared = {name for kind in kinds for name in project["entry-points"].get(GROUPS[kind], {})}
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            continue
        if name in declared:
            return (
                f"{kinds[0] if len(kinds) == 1 else 'method'} '{name}' is declared in "
                f"{folder / 'pyproject.toml'} but not installed; run `pip install -e {folder}` again"
            )
    return None


def plugin_code(kind: str, name: str) -> Path | None:
    """The file, or the folder of the package, of a method that is not built in; None for all others."""
    if name in _PLUGINS.get(kind, {}):
        module = _PLUGINS[kind][name][0].__module__
        return None if module.startswith("bench.") else code_of(module)
    entry = _entries(GROUPS[kind]).get(name) if kind in GROUPS else None
    if entry is None or entry.module not in sys.modules or (entry.dist and entry.dist.name == "defectbench"):
        return None
    return code_of(entry.module)


@functools.cache
def protocols() -> dict[str, Path]:
    """The protocols of all folders that entry points of "bench.protocols" name: name to file.

    A TOML file without a name only holds what protocols extend. One that cannot be read goes by the name of
    the file, so that whoever asks for it learns what is wrong with it.
    """
    files: dict[str, Path] = {}
    for folder in protocol_folders():
        for path in sorted(folder.glob("*.toml")):
            try:
                name = parse_toml(path.read_text(encoding="utf-8")).get("name")
            except (UnicodeDecodeError, TOMLDecodeError):
                name = path.stem
            if name in files:
                raise BenchError(f"{path} and {files[name]} are protocols of one name, '{name}'; rename one")
            if name is not None:
                files[str(name)] = path
    return files


def protocol_folders() -> list[Path]:
    """Folders with protocols: the values of the entry points of "bench.protocols"."""
    return _folders("bench.protocols")


def published_folders() -> list[Path]:
    """Folders with the tables of papers: the values of the entry points of "bench.published"."""
    return _folders("bench.published")


def _folders(group: str) -> list[Path]:
    """Of two packages that name their folders alike, both count."""
    points = sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value))
    return list(dict.fromkeys(Path(entry.load()) for entry in points))


def load_plan(name: str) -> Any:
    """A function of the protocols package that plans: "protocol", "images" or "predictions"."""
    return _entries("bench.plans")[name].load()


def load_page(name: str) -> Any:
    """A function of the reports package: "site", "export" or "terminal"."""
    return _entries("bench.reports")[name].load()


def adapter_id(kind: str, name: str) -> str:
    """ "name@version", and for a plug-in file the digest of its source, as it stands in task keys."""
    version = load(kind, name).version
    source = _PLUGINS[kind].get(name)
    return f"{name}@{version}" + (f"#{source[1]}" if source else "")


def load_plugins(paths: Sequence[str]) -> None:
    """Register what plug-in files define: Python files are imported, TOML files name foreign commands."""
    for path in paths:
        _load_plugin(Path(path))


def _load_plugin(path: Path) -> None:
    if not path.is_file():
        raise BenchError(f"the plug-in file {path} does not exist; give the path of a Python or TOML file")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if path.suffix == ".toml":
        from bench.foreign.adapter import foreign_adapter

        adapter = foreign_adapter(path)
        _register(path, "generator" if issubclass(adapter, Generator) else "detector", adapter, digest)
        return
    adapters = list(_adapters_of(path, _imported(path, f"bench_plugin_{digest}")))
    if not adapters:
        raise BenchError(
            f"plug-in file {path} defines no Generator and no Detector; derive a class from one of them"
        )
    for kind, adapter in adapters:
        _register(path, kind, adapter, digest)


def _adapters_of(path: Path, module: ModuleType) -> Iterator[tuple[str, type[Adapter]]]:
    """Kind and class of all adapters that a plug-in file defines itself."""
    for value in vars(module).values():
        if not inspect.isclass(value) or value.__module__ != module.__name__ or inspect.isabstract(value):
            continue
        for kind, base in (("generator", Generator), ("detector", Detector)):
            if issubclass(value, base):
                undeclared = [fact for fact in _DECLARED[kind] if not hasattr(value, fact)]
                if undeclared:
                    raise BenchError(
                        f"plug-in file {path}: the {kind} {value.__name__} has no {undeclared[0]}; "
                        f"write {undeclared[0]} = ... into the class"
                    )
                yield kind, value


def _register(path: Path, kind: str, adapter: type[Adapter], digest: str) -> None:
    if adapter.name in _entries(GROUPS[kind]):
        raise BenchError(
            f"plug-in file {path} names a {kind} '{adapter.name}', which is built in; choose another name"
        )
    _PLUGINS[kind][adapter.name] = (adapter, digest)


def _imported(path: Path, name: str) -> ModuleType:
    """The module of a plug-in file, under a name of its content: an edited file is another module."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"plug-in file {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise BenchError(
            f"plug-in file {path} cannot be imported: {sentence_of(error, path.absolute())}"
        ) from error
    return module
