"""What names one gated metric, whatever its data, versions and parameters are."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from bench.record.record import COMPARABILITY, Record


@dataclass(frozen=True, order=True)
class MetricKey:
    """A metric in a cell. Fields of `bench.record.record.Record`."""

    protocol: str
    category: str
    defect: str
    modality: str
    generator: str
    mix: str
    detector: str
    level: str
    metric: str
    dialect: str

    @classmethod
    def of(cls, record: Record) -> "MetricKey":
        return cls(*(getattr(record, name) for name in KEY))

    @property
    def cell(self) -> str:
        """ "chip/crack, crop_paste generated, unet": what is measured, without the metric."""
        where = self.category if self.defect == "all" else f"{self.category}/{self.defect}"
        trained = " ".join(part for part in (_named(self.generator), self.mix) if part)
        modality = "" if self.modality == "rgb" else self.modality
        return ", ".join(part for part in (where, trained, _named(self.detector), modality) if part)

    @property
    def measure(self) -> str:
        """ "pixel.auroc", with the dialect where it is not the default."""
        plain = f"{self.level}.{self.metric}"
        return plain if self.dialect == "default" else f"{plain}.{self.dialect}"

    def __str__(self) -> str:
        return f"{self.cell}: {self.measure}"


KEY = tuple(field.name for field in fields(MetricKey))
CELL = ("protocol", "category", "defect", "modality", "generator", "mix", "detector")
METHOD = (
    "generator_version",
    "generator_variant",
    "generator_params",
    "detector_version",
    "detector_variant",
    "detector_params",
)
"""Fields that may change between comparable values, since a method is what is being changed."""
COMPARED = tuple(name for name in COMPARABILITY if name not in KEY)
"""Fields that must be equal for two values to be compared."""
CONTEXT = (*COMPARED, "preset", *METHOD, "direction")


def by_name(keys: Iterable[MetricKey]) -> list[MetricKey]:
    """Keys in the order of a file or table."""
    return sorted(keys)


def _named(method: str) -> str:
    return "" if method == "none" else method
