"""What a record says of its cell, known before a run: the data, the generator, the detector and the seed."""

from dataclasses import dataclass
from typing import Any, Literal

NONE = "none"
"""The name of the generator or detector where a cell has none."""
SCORE = "score"
"""The protocol of `bench score`, which has no presets and knows methods by their names alone."""


@dataclass(frozen=True)
class CellLabels:
    """The fields that all records of one scoring task share; they are part of its key."""

    kind: Literal["measured", "published"] = "measured"
    protocol: str = ""
    protocol_version: int = 0
    scale: str = ""
    preset: str = ""
    dataset: str = ""
    dataset_fingerprint: str = ""
    category: str = ""
    defect: str = "all"
    """A record may be of one type of defect; a cell is of all."""
    split: str = ""
    shots: str = "third"
    resolution: int = 0
    modality: str = "rgb"
    generator: str = NONE
    generator_version: int = 0
    generator_variant: str = ""
    generator_params: str = ""
    """Digest of the generator's parameters, defaults filled in."""
    generated_per_type: int = 0
    mix: str = ""
    """What a detector was trained on beside normal images, as its protocol names it (real, generated+real,
    pseudo, normal+generated), or "" where nothing is trained."""
    scope: str = ""
    detector: str = NONE
    detector_version: int = 0
    detector_variant: str = ""
    detector_params: str = ""
    selection: str = ""
    seed: int = 0

    @property
    def generator_title(self) -> str:
        """The generator with its variant: "seas[released]"."""
        return titled(self.generator, self.generator_variant)

    @property
    def detector_title(self) -> str:
        """The detector, what it is given where not colour images, and its variant: "unet on depth"."""
        return titled(detector_on(self.detector, self.modality), self.detector_variant)

    def to_json(self) -> dict[str, Any]:
        """The labels as they stand in a key: of a generator, a detector or depth only where there is one."""
        names = [
            *_DATA,
            *(_GENERATOR if self.generator != NONE else ()),
            *(_DETECTOR if self.detector != NONE else ()),
            *(("modality",) if self.modality != "rgb" else ()),
            # of a detector that was trained elsewhere on generated images
            *(("generated_per_type",) if self.generator == NONE and self.generated_per_type else ()),
        ]
        unknown = _UNKNOWN_TO_SCORE if self.protocol == SCORE else ()
        return {name: getattr(self, name) for name in names if name not in unknown}


def detector_on(detector: str, modality: str) -> str:
    """What to call a detector that is given other than colour images: "unet on depth"."""
    return detector if modality == "rgb" or detector == NONE else f"{detector} on {modality}"


def titled(name: str, variant: str) -> str:
    """A method with its variant, as users write it."""
    return f"{name}[{variant}]" if variant else name


_DATA = (
    "protocol",
    "protocol_version",
    "scale",
    "preset",
    "dataset",
    "dataset_fingerprint",
    "category",
    "split",
    "shots",
    "resolution",
    "seed",
)
_GENERATOR = (
    "generator",
    "generator_version",
    "generator_variant",
    "generator_params",
    "generated_per_type",
)
_DETECTOR = (
    "mix",
    "scope",
    "detector",
    "detector_version",
    "detector_variant",
    "detector_params",
    "selection",
)
_UNKNOWN_TO_SCORE = {
    "preset",
    *(f"{kind}_{fact}" for kind in ("generator", "detector") for fact in ("version", "variant", "params")),
}
