"""Likely causes: what of all that is recorded differs between a metric's baseline and its new value."""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.gate.baseline import Baseline, Entry, Update
from bench.gate.measured import Measured, Run, numeric
from bench.gate.metric_key import COMPARED, MetricKey
from bench.gate.verdict import Cause, CauseKind

_KINDS: Mapping[str, CauseKind] = {
    "dataset": "data",
    "dataset_fingerprint": "data",
    "reference": "data",
    "split": "split",
    "shots": "split",
    "features": "weights",
    "weights_sha256": "weights",
    "metric_version": "version",
    "protocol_version": "version",
    "generator_version": "version",
    "detector_version": "version",
}
_ROLES = ("generator", "detector")


def causes(key: MetricKey, entry: Entry, metric: Measured, baseline: Baseline, run: Run) -> tuple[Cause, ...]:
    """Everything that differs, what is most specific first; "unknown" where nothing recorded does."""
    differences = [
        *_metric(key, entry, metric),
        *differing_fields(entry, metric),
        *_methods(key, entry, metric, baseline, run),
        *_seeds(entry, metric),
        *_environment(baseline.environment(entry.update), run),
    ]
    if not any(cause.kind != "environment" for cause in differences):
        differences += _code(baseline.at(entry.update).commit, run.commit)
    return tuple(dict.fromkeys(differences)) or (
        Cause("unknown", "nothing that is recorded differs: the result is not reproducible"),
    )


def causes_of_absence(update: Update, run: Run) -> tuple[Cause, ...]:
    """Why a run lacks even the cell: another command may have asked for another thing."""
    if update.command == run.command:
        return ()
    return (Cause("protocol", f"the run was `{run.command}`, that of the baseline `{update.command}`"),)


def differing_fields(entry: Entry, metric: Measured) -> Iterator[Cause]:
    """Fields that must be equal for two values to be compared, and are not."""
    for name in COMPARED:
        before, after = entry.context[name], metric.context[name]
        if before != after:
            sentence = f"{name.replace('_', ' ')} is {_short(after)}, was {_short(before)}"
            yield Cause(_KINDS.get(name, "protocol"), sentence)


def _metric(key: MetricKey, entry: Entry, metric: Measured) -> Iterator[Cause]:
    """The metric itself, where what it was computed from is what it was."""
    if entry.source and entry.source == metric.source and entry.values != metric.values:
        yield Cause("metric", f"{key.level}.{key.metric} changed: the same bytes were scored")


def _methods(key: MetricKey, entry: Entry, metric: Measured, baseline: Baseline, run: Run) -> Iterator[Cause]:
    for role in _ROLES:
        name = getattr(key, role)
        before, after = entry.context[f"{role}_version"], metric.context[f"{role}_version"]
        if before != after:
            yield Cause("version", f"{name} has version {after}, was {before}")
        was, now = baseline.methods.get(name, {}), run.methods.get(name, {})
        if before == after and was and now and was.get("id") != now.get("id"):
            yield Cause("version", f"the source of {name} is {_source(now)}, was {_source(was)}")
        if entry.context[f"{role}_params"] != metric.context[f"{role}_params"]:
            yield from _parameters(name, was.get("parameters", {}), now.get("parameters", {}))
    if entry.context["preset"] != metric.context["preset"]:
        yield Cause("parameters", f"preset is {metric.context['preset']}, was {entry.context['preset']}")


def _parameters(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Cause]:
    moved = [field for field in {**was, **now} if _as_text(was.get(field)) != _as_text(now.get(field))]
    for field in moved:
        yield Cause(
            "parameters", f"{name}.{field} is {_as_text(now.get(field))}, was {_as_text(was.get(field))}"
        )
    if not moved:
        yield Cause("parameters", f"the parameters of {name} differ")


def _seeds(entry: Entry, metric: Measured) -> Iterator[Cause]:
    before, after = set(entry.values), set(metric.values) | set(metric.absent)
    if before != after:
        yield Cause("seeds", f"seeds are {_listed(after)}, were {_listed(before)}")


def _environment(before: Mapping[str, Any], run: Run) -> Iterator[Cause]:
    was, now = numeric(before), numeric(run.environment)
    for name in was:
        if name != "packages" and was[name] != now[name]:
            yield Cause("environment", f"{name} is {_as_text(now[name])}, was {_as_text(was[name])}")
    old, new = was["packages"], now["packages"]
    for package in sorted({*old, *new}):
        if old.get(package) != new.get(package):
            yield Cause(
                "environment", f"{package} is {new.get(package, 'absent')}, was {old.get(package, 'absent')}"
            )
    if run.mixed:
        yield Cause("environment", "parts of the run were made in different environments")


def _code(before: str, after: str) -> Iterator[Cause]:
    if before != after or after.endswith("+dirty"):
        yield Cause(
            "code", f"the source is at {after or 'no commit'}, was at {before or 'no commit'}, "
            "and no version was raised"
        )  # fmt: skip


def _source(method: Mapping[str, Any]) -> str:
    return str(method.get("id", "")).partition("#")[2] or "another"


def _as_text(value: Any) -> str:
    """Equal for a value and for what became of it in a file."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_as_text(part) for part in value)}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_as_text(part)}" for name, part in value.items()) or "nothing"
    return "none" if value is None else str(value)


def _short(value: Any) -> str:
    """Digests by their first digits."""
    text = str(value)
    return f"{text[:12]}…" if len(text) >= 40 and " " not in text else text or "none"


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds))) or "none"
