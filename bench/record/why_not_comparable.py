"""Why two values may not share a column, in words: "500 of 1,000 images a type"."""

from collections.abc import Callable, Sequence
from typing import Any

SELECTIONS = {
    "last": "checkpoint of the last epoch",
    "fixed-epoch": "checkpoint of an epoch fixed for the data set",
    "validation": "checkpoint chosen on a validation part",
    "test-oracle": "checkpoint chosen on the test set",
}
SCOPES = {
    "dataset": "one model for all categories",
    "category": "one model a category",
    "defect": "one model a defect type",
}
MIXES = {
    "": "nothing trained",
    "real": "trained on real defects",
    "generated": "trained on generated defects",
    "generated+real": "trained on generated and real defects",
    "generated+generated-normal": "trained on generated defects and generated normal images",
    "pseudo": "trained on pseudo-anomalies",
    "pseudo+real": "trained on pseudo-anomalies and real defects",
    "pseudo+generated": "trained on pseudo-anomalies and generated defects",
    "normal": "trained on real normal images",
    "normal+generated": "trained on real and generated normal images",
}
DIALECTS = {
    "default": "by the exact rule",
    "grid21": "on a grid of 21 thresholds",
    "trapezoid": "by trapezoids",
    "truncate": "with only those pixels defect that are 1 after a bilinear resize",
    "nonzero": "with every pixel defect that is above 0 after a bilinear resize",
    "per-image-oracle": "at the best threshold of each image",
    "argmax": "at the detector's own decision",
    "pool21": "of the map averaged over 21 by 21 pixels",
    "subset": "over random subsets",
    "resize-256": "of images resized to 256 pixels first",
    "last-batch": "of the last batch of test images",
    "ojha": "of 50 random images a cluster",
    "seas": "of the first 140 images a cluster, empty clusters as zero",
    "dfmgan": "of the first 200 images a cluster, by AlexNet",
    "anomalyhybrid": "in 100 groups around test images",
}
METRICS = {
    "auroc": "AUROC",
    "ap": "AP",
    "f1_max": "F1",
    "iou": "IoU",
    "aupro": "AUPRO",
    "is": "IS",
    "kid": "KID",
    "fid": "FID",
    "lpips": "LPIPS",
    "ic_lpips": "IC-LPIPS",
    "ic_lpips_a": "IC-LPIPS(a)",
}
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
    say = _SENTENCES.get(name)
    if say is not None:
        return say(mine, theirs, metric)
    return f"{_PLAIN.get(name, name)} {mine}, not {theirs}"


def unknown(names: Sequence[str]) -> str:
    """One clause for all fields that are unknown on either side."""
    words = [_PLAIN.get(name, name.replace("_", " ")) for name in names]
    if len(words) == 1:
        return f"{words[0]} is unknown"
    return f"{', '.join(words[:-1])} and {words[-1]} are unknown"


def _phrases(table: dict[str, str]) -> Callable[[Any, Any, str], str]:
    return lambda mine, theirs, _: f"{table.get(mine, mine)}, not {table.get(theirs, theirs)}"


def _dialect(mine: str, theirs: str, metric: str) -> str:
    rule, other = (DIALECTS.get(each, f"by the rule '{each}'") for each in (mine, theirs))
    return f"{METRICS.get(metric, metric.replace('_', ' '))} {rule}, not {other}"


def _generated(mine: int, theirs: int, _: str) -> str:
    if mine < theirs:
        return f"{mine:,} of {theirs:,} images a type"
    return f"{mine:,} images a type, not {theirs:,}"


def _features(mine: str, theirs: str, _: str) -> str:
    one, other = (each.removeprefix("embedded: ").removeprefix("canonical: ") for each in (mine, theirs))
    if one == other:
        one, other = mine, theirs
    return f"features {one}, not {other}"


def _weights(mine: str, theirs: str, _: str) -> str:
    one, other = (each[:8] or "none" for each in (mine, theirs))
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
    "selection": _phrases(SELECTIONS),
    "scope": _phrases(SCOPES),
    "mix": _phrases(MIXES),
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
