"""When two printed values are the same quantity: the facts overwrite the names in which tables differ."""

from typing import Any, NamedTuple

from bench.published.load import name_and_variant
from bench.published.paper import Value


class CellKey(NamedTuple):
    """What a printed value is a value of, whichever table it stands in."""

    dataset: str
    category: str
    generator: str
    generator_variant: str
    detector: str
    detector_variant: str
    modality: str
    mix: str
    scope: str
    level: str
    metric: str


def key_of(value: Value, detector: str | None = None) -> CellKey:
    """The key of a value, or of what stands beside it for another detector of the CSV."""
    row = value.row
    facts = value.facts if detector is None else {**value.facts, "detector": None}
    name, variant = name_and_variant(row["generator"])
    detector_name, detector_variant = name_and_variant(row["detector"] if detector is None else detector)
    # images are the same whatever is trained on them
    trained = row["level"] in ("image", "pixel")

    def fact(field: str, default: str) -> Any:
        stated = facts.get(field)
        return default if stated is None else stated

    return CellKey(
        row["dataset"],
        row["category"],
        fact("generator", name),
        fact("generator_variant", variant),
        fact("detector", detector_name),
        fact("detector_variant", detector_variant),
        facts["modality"],
        _TRAINED.get(facts["mix"], facts["mix"]) if trained else "",
        facts["scope"] if trained else "",
        fact("level", row["level"]),
        row["metric"],
    )


_TRAINED = {"unknown": "generated"}
"""A table does not mean another training set where the paper is silent."""
