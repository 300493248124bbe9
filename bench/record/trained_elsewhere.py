"""What is known of a detector whose outputs were made elsewhere; no file of them states it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.record import catalogue
from bench.record.record import UNKNOWN, UNKNOWN_COUNT


@dataclass(frozen=True)
class TrainedElsewhere:
    """How a detector was trained; what is not stated is unknown, and unknown equals nothing."""

    mix: str = UNKNOWN
    """What it was trained on, as a row of a protocol names it."""
    scope: str = UNKNOWN
    """What one model covers."""
    selection: str = UNKNOWN
    """Which checkpoint was kept."""
    generated_per_type: int | None = None
    """Number of generated images per defect type, where the mix has some."""

    @classmethod
    def of(cls, registered: Mapping[str, Any]) -> "TrainedElsewhere":
        """What `to_json` wrote; nothing is known of what an older version registered."""
        return cls(**registered)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def check(self) -> None:
        """Raise BenchError where a value is not in the catalogue."""
        mixes = [name for name in catalogue.mixes() if name]
        _require("mix", self.mix, mixes)
        _require("scope", self.scope, [entry.name for entry in catalogue.SCOPES if not entry.unrecorded])
        _require("selection", self.selection, [entry.name for entry in catalogue.SELECTIONS])
        if self.generated_per_type is not None and not self._has_generated:
            names = ", ".join(name for name in mixes if "generated" in name)
            raise BenchError(
                f"--generated-per-type {self.generated_per_type}: the mix '{self.mix}' has no generated "
                f"images; name one of {names} by --mix"
            )

    @property
    def labels(self) -> dict[str, Any]:
        """The fields of a record."""
        labels: dict[str, Any] = {"mix": self.mix, "scope": self.scope, "selection": self.selection}
        if self._has_generated:
            count = self.generated_per_type
            labels["generated_per_type"] = UNKNOWN_COUNT if count is None else count
        return labels

    @property
    def _has_generated(self) -> bool:
        return "generated" in self.mix


UNSTATED = TrainedElsewhere()
"""Nothing is known."""


def _require(kind: str, name: str, names: Iterable[str]) -> None:
    if name != UNKNOWN and name not in names:
        raise BenchError(did_you_mean(kind, name, names))
