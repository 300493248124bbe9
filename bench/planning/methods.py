"""Methods as users name them (`seas`, `seas[released]`) to adapters with every parameter filled in."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args

from bench.errors import BenchError, did_you_mean
from bench.methods import Adapter, registry
from bench.methods.packages import why_unusable
from bench.planning.config import ResolvedMethod
from bench.planning.ingested import IngestedMethod
from bench.planning.spec import MethodSpec, ProtocolSpec, Scale
from bench.tasks import digest

Kind = Literal["generator", "detector"]


@dataclass(frozen=True)
class Overrides:
    """What the command line sets of methods: `--set name.key=value`, by method name.

    `--set generator.key=value` (or detector.) sets it of every chosen generator that has such a parameter;
    what is set of a method by its name goes before it.
    """

    params: Mapping[str, Mapping[str, Any]]

    def of(self, kind: Kind, name: str, takes: Collection[str]) -> dict[str, Any]:
        """What is set of one method, which takes these parameters."""
        shared = {key: value for key, value in self.params.get(kind, {}).items() if key in takes}
        return {**shared, **self.params.get(name, {})}

    def check_shared(self, kind: Kind, methods: Sequence[ResolvedMethod]) -> None:
        """BenchError where something is set of every generator (or detector) that none of them takes."""
        settable = {key for method in methods if method.adapter for key in _takes(kind, method.adapter)}
        for key in self.params.get(kind, {}):
            if key not in settable:
                raise BenchError(did_you_mean("parameter", key, settable, of=f"the chosen {kind}s"))

    @staticmethod
    def split(settings: Mapping[str, Any], in_run: Sequence[str]) -> "tuple[Overrides, dict[str, Any]]":
        """Settings of methods, and the others. BenchError for a method that takes no part in the run."""
        methods: dict[str, dict[str, Any]] = {}
        rest: dict[str, Any] = {}
        for name, value in settings.items():
            method, dot, key = name.partition(".")
            if not dot:
                rest[name] = value
            elif method not in (*in_run, *get_args(Kind)):
                raise BenchError(did_you_mean("method", method, in_run, of=f"--set {name}"))
            else:
                methods.setdefault(method, {})[key] = value
        return Overrides(methods), rest


def bare_name(text: str) -> str:
    """`seas[released]` to `seas`."""
    return _parse(text)[0]


def resolve(
    kind: Kind,
    text: str,
    spec: ProtocolSpec,
    scale: Scale,
    overrides: Overrides,
    ingested: Mapping[str, IngestedMethod],
) -> ResolvedMethod:
    """The method `text`, "name" or "name[preset]", under this protocol and scale.

    BenchError for whatever is unknown or wrong.
    """
    name, preset = _parse(text)
    if name in ingested:
        if preset:
            raise BenchError(f"'{name}' was ingested and has no presets")
        tasks, trained = ingested[name].tasks, ingested[name].trained
        return ResolvedMethod(
            kind, name, f"{name}@ingested", 0, {}, digest(tasks)[:16], ingested=tasks, trained=trained
        )
    adapter: type[Adapter] = _load(kind, name, ingested)
    if preset and preset not in adapter.presets:
        raise BenchError(did_you_mean("preset", preset, adapter.presets, of=name))
    in_effect = preset or (scale.preset if scale.preset in adapter.presets else "")
    by_protocol = _merged(spec.detectors.get(name), scale.methods.get(name))
    settings = overrides.of(kind, name, _takes(kind, adapter))
    by_user = {key: _none(adapter, key, value) for key, value in settings.items()}
    scope = by_user.pop("scope", None) or by_protocol.scope or adapter.scope  # type: ignore[attr-defined]
    _check_scope(kind, name, scope)
    balanced = by_user.pop("balanced", by_protocol.balanced)
    if not isinstance(balanced, bool):
        raise BenchError(f"parameter 'balanced' of '{name}' cannot be {balanced!r}: give true or false")
    configured = adapter.configure(in_effect or None, {**by_protocol.params, **by_user})
    params = configured.params.model_dump(mode="json")
    return ResolvedMethod(
        kind=kind,
        name=name,
        id=registry.adapter_id(kind, name),
        version=adapter.version,
        params=params,
        params_digest=digest(params)[:16],
        variant=preset,
        preset=in_effect,
        scope=scope,
        adapter=adapter,
        balanced=balanced,
        own_view=configured.view,
    )


def with_weights(method: ResolvedMethod, folder: Path | None) -> ResolvedMethod:
    """The method as this machine can run it, with weights from `folder`.

    It has `missing_requirement` where something it needs is not here; otherwise a generator has the digest of
    its weights.
    """
    if method.adapter is None:
        return method
    adapter = method.adapter(method.adapter.Params(**method.params))
    unusable = filter(None, map(why_unusable, adapter.packages))
    for sentence in (*unusable, *adapter.missing(folder)):
        of_method = sentence if method.name in sentence else f"'{method.name}': {sentence}"
        return replace(method, missing_requirement=of_method)
    weights = adapter.weights_digest(folder) if method.kind == "generator" else ""
    if not weights:
        return method
    return replace(method, weights=weights, params_digest=digest([dict(method.params), weights])[:16])


def _load(kind: Kind, name: str, ingested: Mapping[str, Any]) -> type[Adapter]:
    if name in registry.names(kind):
        return registry.load(kind, name)
    raise BenchError(
        registry.not_installed(name, kind) or did_you_mean(kind, name, {*registry.names(kind), *ingested})
    )


def _parse(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"\s*([^\[\]\s]+)(?:\[([^\[\]]+)\])?\s*", text)
    if not match:
        raise BenchError(f"'{text}' is no method name; write name or name[preset]")
    return match[1], match[2] or ""


def _takes(kind: Kind, adapter: type[Adapter]) -> set[str]:
    """What can be set of a method: its parameters, and what a protocol lays down for it."""
    of_protocol = {"scope", "balanced"} if kind == "detector" else {"scope"}
    return {*adapter.Params.model_fields, *of_protocol}


def _merged(of_protocol: MethodSpec | None, of_scale: MethodSpec | None) -> MethodSpec:
    merged: dict[str, Any] = {}
    for part in (of_protocol, of_scale):
        if part is not None:
            merged.update(part.model_dump(exclude_unset=True))
    return MethodSpec(**merged)


def _none(adapter: type[Adapter], parameter: str, value: Any) -> Any:
    """`--set unet.encoder_weights=none`: the word stands for None where None is allowed."""
    field = adapter.Params.model_fields.get(parameter)
    allowed = field is not None and NoneType in get_args(field.annotation)
    return None if value == "none" and allowed else value


def _check_scope(kind: Kind, name: str, scope: str) -> None:
    scopes = ("dataset", "category") if kind == "detector" else ("dataset", "category", "defect")
    if scope not in scopes:
        raise BenchError(did_you_mean("scope", str(scope), scopes, of=name))


def task_of(method: ResolvedMethod) -> str:
    """What a detector does: "segmentation", "classification" or "anomaly"."""
    return method.as_detector.task
