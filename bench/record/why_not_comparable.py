"""Why two values may not share a column, in words: "500 of 1,000 images a type"."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.record import catalogue

ORDER = (
    *("protocol", "dataset", "category", "defect", "level", "metric", "split", "shots", "selection"),
    *("generated_per_type", "mix", "scope", "dialect", "features", "reference", "resolution", "modality"),
    *("scale", "unit", "metric_version", "protocol_version", "dataset_fingerprint", "weights_sha256"),
)
"""What a reader asks first comes first."""
IMPLIED = {
    "dataset_fingerprint": "dataset",
    "weights_sha256": "features",
    "protocol_version": "protocol",
    "metric_version": "dialect",
}
"""A field that goes without saying where the other differs."""
_PLAIN = {
    "dataset": "data set",
    "dataset_fingerprint": "fingerprint of the data set",
    "generated_per_type": "number of generated images a type",
    "mix": "training set",
    "scope": "scope of a model",
    "dialect": "rule of the metric",
    "weights_sha256": "weights of the features",
    "reference": "reference set",
}


def difference(name: str, mine: Any, theirs: Any, metric: str) -> str:
    """What sets a value apart from another in one field of `bench.record.record.COMPARABILITY`."""
    sentence = _SENTENCES.get(name)
    if sentence is not None:
        return sentence(mine, theirs, metric)
    return f"{_PLAIN.get(name, name)} {mine}, not {theirs}"


def unknown(names: Sequence[str]) -> str:
    """One clause for all fields that are unknown on either side."""
    words = [_PLAIN.get(name, name.replace("_", " ")) for name in names]
    if len(words) == 1:
        return f"{words[0]} is unknown"
    return f"{', '.join(words[:-1])} and {words[-1]} are unknown"


def _clauses(entries: Iterable[catalogue.Wording]) -> Callable[[Any, Any, str], str]:
    clauses = {entry.name: entry.clause for entry in entries}
    return lambda mine, theirs, _: f"{clauses.get(mine, mine)}, not {clauses.get(theirs, theirs)}"


def _mix(mine: str, theirs: str, _: str) -> str:
    one, other = (entry.clause if (entry := catalogue.mixes().get(name)) else name for name in (mine, theirs))
    return f"{one}, not {other}"


def _dialect(mine: str, theirs: str, metric: str) -> str:
    one, other = (
        entry.clause if (entry := catalogue.dialects().get(name)) else f"by the rule '{name}'"
        for name in (mine, theirs)
    )
    return f"{catalogue.metric_title(metric)} {one}, not {other}"


def _generated(mine: int, theirs: int, _: str) -> str:
    if mine < theirs:
        return f"{mine:,} of {theirs:,} images a type"
    return f"{mine:,} images a type, not {theirs:,}"


def _features(mine: str, theirs: str, _: str) -> str:
    one, other = (name.removeprefix("embedded: ").removeprefix("canonical: ") for name in (mine, theirs))
    if one == other:
        one, other = mine, theirs
    return f"features {one}, not {other}"


def _weights(mine: str, theirs: str, _: str) -> str:
    one, other = (sha256[:8] or "none" for sha256 in (mine, theirs))
    if one == other:
        one, other = mine, theirs
    return f"other weights of the features: sha256 {one}, not {other}"


def _copy(mine: str, theirs: str, _: str) -> str:
    return f"other files in the data set: fingerprint {_short(mine, theirs)}, not {_short(theirs, mine)}"


def _short(one: str, other: str) -> str:
    return one[:8] if one[:8] != other[:8] else one


def _pixels(mine: int, theirs: int, _: str) -> str:
    return f"{mine} x {mine} pixels, not {theirs} x {theirs}"


_SENTENCES: dict[str, Callable[[Any, Any, str], str]] = {
    "selection": _clauses(catalogue.SELECTIONS),
    "scope": _clauses(catalogue.SCOPES),
    "mix": _mix,
    "dialect": _dialect,
    "generated_per_type": _generated,
    "features": _features,
    "weights_sha256": _weights,
    "dataset_fingerprint": _copy,
    "resolution": _pixels,
    "protocol_version": lambda mine, theirs, _: f"version {mine} of the protocol, not {theirs}",
    "metric_version": lambda mine, theirs, _: f"version {mine} of the metric, not {theirs}",
    "reference": lambda mine, theirs, _: f"compared with {mine or 'nothing'}, not {theirs or 'nothing'}",
    "scale": lambda mine, theirs, _: f"counts of scale {mine}, not {theirs}",
}
