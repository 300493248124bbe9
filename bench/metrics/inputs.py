"""Turns what callers hand over (numpy or torch, CPU or CUDA) into checked numpy arrays.

Nothing here imports torch: a tensor is known by its `detach` method.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATS = (np.float32, np.float64)


class MetricInputError(ValueError):
    """The input cannot be scored: wrong shape, NaN, infinity, a value that overflows."""


class UndefinedMetricError(MetricInputError):
    """The input is sound but the metric has no value on it: one class only, nothing to compare."""


def to_numpy(values: Any, name: str) -> np.ndarray:
    """Array, memory map, list or torch tensor (any device) -> numpy array, copied only where it must be."""
    if hasattr(values, "detach"):
        values = values.detach()
        if "bfloat16" in str(values.dtype):  # numpy has no such type; float32 holds its values exactly
            values = values.float()
        values = values.cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise MetricInputError(f"{name} is no regular array: its rows differ in length") from error
    if array.dtype == object:
        raise MetricInputError(f"{name} is no regular array of numbers (its items differ in type or length)")
    return array


def real_array(values: Any, name: str, ndim: int | None = None, *, finite: bool = True) -> np.ndarray:
    """Real numbers as float32 or float64, not empty, and, unless `finite` is false, checked to be finite.

    float16, bfloat16 and integers up to 16 bits become float32, which holds them exactly; other
    integers become float64. Raises MetricInputError otherwise.
    """
    array = to_numpy(values, name)
    if array.dtype not in FLOATS:
        if not np.issubdtype(array.dtype, np.number) and array.dtype != bool:
            raise MetricInputError(f"{name} must be real numbers, not {array.dtype}")
        if np.issubdtype(array.dtype, np.complexfloating):
            raise MetricInputError(f"{name} must be real numbers, not {array.dtype}")
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    if ndim is not None and array.ndim != ndim:
        raise MetricInputError(f"{name} must have {ndim} axes, but has shape {array.shape}")
    if array.size == 0:
        raise MetricInputError(f"{name} is empty (shape {array.shape})")
    if finite:
        require_finite(array, name)
    return array


def require_finite(array: np.ndarray, name: str) -> None:
    """Raises MetricInputError where a value is NaN or infinite."""
    with np.errstate(invalid="ignore"):
        # NaN and infinities survive min and max, so no boolean copy of a large array is made
        sound = bool(np.isfinite(array.min())) and bool(np.isfinite(array.max()))
    if sound:
        return
    bad = np.argwhere(~np.isfinite(array))[0]
    at = ", ".join(str(int(i)) for i in bad)
    kind = "NaN" if np.isnan(array[tuple(bad)]) else "infinite"
    raise MetricInputError(
        f"{name} holds a value that is {kind} (first at index {at}); mend it before scoring"
    )


def finite_result(value: float, name: str) -> float:
    """The value as a float, or MetricInputError where float64 overflowed on the way."""
    if not np.isfinite(value):
        raise MetricInputError(f"{name} overflows float64; scale the input down")
    return float(value)


def finite_range(low: np.floating, high: np.floating, name: str) -> np.floating:
    """high - low in their own type, or MetricInputError where it overflows that."""
    with np.errstate(over="ignore"):
        span = high - low
    if not np.isfinite(span):
        raise MetricInputError(f"the range of {name} overflows {span.dtype}; scale the input down")
    return span


def truth_array(values: Any, name: str, ndim: int | None = None) -> np.ndarray:
    """Labels or masks as bool; integers and floats are taken where they are all 0 or 1."""
    array = to_numpy(values, name)
    if array.dtype != bool:
        if not np.isin(array, (0, 1)).all():
            raise MetricInputError(
                f"{name} must be bool, or 0 and 1; raw masks go through bench.metrics.prepare_masks first"
            )
        array = array.astype(bool)
    if ndim is not None and array.ndim != ndim:
        raise MetricInputError(f"{name} must have {ndim} axes, but has shape {array.shape}")
    if array.size == 0:
        raise MetricInputError(f"{name} is empty (shape {array.shape})")
    return array


def image_array(images: Any, name: str) -> np.ndarray:
    """uint8 RGB [N, H, W, 3], not empty. Raises MetricInputError."""
    array = to_numpy(images, name)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8:
        raise MetricInputError(
            f"{name} images must be uint8 RGB [N, H, W, 3], but are {array.dtype} of shape {array.shape}"
        )
    if array.size == 0:
        raise MetricInputError(f"{name} images are empty (shape {array.shape})")
    return array


def require_same_shape(a: np.ndarray, b: np.ndarray, name_a: str, name_b: str) -> None:
    """Raises MetricInputError where the shapes differ."""
    if a.shape != b.shape:
        raise MetricInputError(f"{name_a} {a.shape} and {name_b} {b.shape} must have the same shape")


def require_choice(value: str, choices: Any, name: str) -> None:
    """Raises MetricInputError where `value` is not one of `choices`."""
    if value not in choices:
        raise MetricInputError(f"unknown {name} '{value}'; there are: {', '.join(choices)}")
