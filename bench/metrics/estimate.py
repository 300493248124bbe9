"""A metric's value with the spread that its own estimator gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """value, float64; error: what `error_kind` says, in the value's unit; n: what it was taken over."""

    value: float
    error: float
    error_kind: str
    n: int

    def __float__(self) -> float:
        return self.value
