"""The same predictions by the exact rules and under every dialect that a run records, in one pass.

What `pixel_metrics` and `image_metrics` give one dialect at a time, for all of them at once: the maps are
tallied once for each rule of the masks and sorted once for all grids. The values are those of these functions
(tests/metrics/test_detection.py).

A dialect that a set of maps has no meaning for (a threshold of 0.5 where the maps are not probabilities) is
left out with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bench.metrics.auroc_ap_f1 import exact_pixel_metrics, image_metrics, image_scores
from bench.metrics.classification import recall_at_tnr
from bench.metrics.inputs import MetricInputError, UndefinedMetricError, finite_range
from bench.metrics.ranking import MapTally, tally_of
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.threshold_grids import GRIDS, trapezoid_of_tally

Named = tuple[str, str]
"""(metric, dialect)."""

OF_MASKS = ("auroc", "ap", "f1_max", "iou", "aupro")
"""Pixel metrics that are taken under every rule of the masks."""


class PixelValues(NamedTuple):
    """Pixel metrics of one category."""

    values: dict[Named, float]
    """0..1, the exact rules as dialect "default" among them."""
    undefined: dict[Named, str]
    """The reasons of those that have no value."""
    counted: MapTally
    """The counts on the default masks, of which curves can be drawn."""


def pixel_values(maps: np.ndarray, masks: np.ndarray, by_rule: Mapping[str, np.ndarray]) -> PixelValues:
    """Pixel metrics of one category under every dialect.

    maps: float [N, H, W]; masks: bool [N, H, W], the default truth; by_rule: mask dialect to the same masks
    prepared by it. Raises UndefinedMetricError where the default truth holds one class only.
    """
    counted = tally_of(MapChunks(maps, masks))
    exact = exact_pixel_metrics(counted)
    values: dict[Named, float] = {(metric, "default"): exact[metric] for metric in OF_MASKS}
    values["iou", "per-image-oracle"] = exact["iou_per_image_oracle"]
    values["ap", "trapezoid"] = trapezoid_of_tally(counted.tally)
    undefined: dict[Named, str] = {}
    _add_grids(maps, masks, values, undefined, by_rule.get("truncate"))
    for rule, prepared in by_rule.items():
        metrics = [(metric, rule) for metric in OF_MASKS]
        if rule == "truncate-antialias":
            metrics.append(("iou", "per-image-oracle-truncate"))
        try:
            of_rule = exact_pixel_metrics(tally_of(MapChunks(maps, prepared)))
        except UndefinedMetricError as error:
            undefined |= dict.fromkeys(metrics, str(error))
            continue
        oracle = of_rule["iou_per_image_oracle"]
        values |= {(metric, name): of_rule[metric] if name == rule else oracle for metric, name in metrics}
    return PixelValues(values, undefined, counted)


def image_values(
    scores: np.ndarray, labels: np.ndarray, maps: np.ndarray | None
) -> tuple[dict[Named, float], dict[Named, str]]:
    """Image metrics of one category under every dialect, and the reasons of those that are undefined.

    scores: real [N], the detector's image scores; labels: bool [N]; maps: float [N, H, W] or None, from which
    `pool21` takes its own image scores. Raises UndefinedMetricError where one class is missing.
    """
    exact = image_metrics(scores, labels)
    values = {(metric, "default"): exact[metric] for metric in ("auroc", "ap", "f1_max")}
    undefined: dict[Named, str] = {}
    try:
        values["recall_at_tnr95", "default"] = recall_at_tnr(scores, labels, 0.95)["recall"]
    except UndefinedMetricError as error:
        undefined["recall_at_tnr95", "default"] = str(error)
    values["ap", "trapezoid"] = image_metrics(scores, labels, dialect="trapezoid")["ap"]
    if scores.min() >= 0.0 and scores.max() <= 1.0:
        values["f1_max", "grid21"] = image_metrics(scores, labels, dialect="grid21")["f1_max"]
    else:
        undefined["f1_max", "grid21"] = "the scores lie outside 0..1, so the grid of thresholds means nothing"
    if maps is not None:
        pooled = image_metrics(image_scores(maps, "pool21"), labels)
        values |= {(metric, "pool21"): pooled[metric] for metric in ("auroc", "ap", "f1_max")}
    return values, undefined


def _add_grids(
    maps: np.ndarray,
    masks: np.ndarray,
    values: dict[Named, float],
    undefined: dict[Named, str],
    truncated: np.ndarray | None,
) -> None:
    """F1 and IoU at the best threshold of each grid; sorted once, a grid is a few look-ups.

    truncated: the masks of `truncate`, where they are at hand, for the grid on them.
    """
    positive, negative = np.sort(maps[masks]), np.sort(maps[~masks])
    low, high = min(positive[0], negative[0]), max(positive[-1], negative[-1])
    for name, grid in GRIDS.items():
        names = (name, "grid21-truncate") if name == "grid21" and truncated is not None else (name,)
        metrics = [(metric, dialect) for dialect in names for metric in ("f1_max", "iou")]
        if name == "grid21-minmax":
            if low == high:
                undefined |= dict.fromkeys(metrics, "all maps hold one value, so there is no range to scale")
                continue
            try:
                span = finite_range(low, high, "the maps")
            except MetricInputError as error:
                undefined |= dict.fromkeys(metrics, str(error))
                continue
            # scaling keeps the order, so what was sorted stays sorted
            scaled = [(scores - low) / span for scores in (positive, negative)]
        elif low < 0.0 or high > 1.0:
            reason = "the maps are no probabilities, so thresholds in 0..1 mean nothing"
            undefined |= dict.fromkeys(metrics, reason)
            continue
        else:
            scaled = [positive, negative]
        thresholds = grid.astype(maps.dtype)
        tp, fp = (_above(scores, thresholds) for scores in scaled)
        values |= _best_on_grid(name, tp, fp, positive.size)
        if "grid21-truncate" in names and truncated is not None:
            defect = np.sort(maps[truncated])
            if not defect.size:
                undefined |= dict.fromkeys(metrics[2:], "no defect pixel is left of the truncated masks")
                continue
            # all pixels above a threshold are as many under any masks
            hits = _above(defect, thresholds)
            values |= _best_on_grid("grid21-truncate", hits, tp + fp - hits, defect.size)


def _above(ascending: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many scores lie above each threshold."""
    return ascending.size - np.searchsorted(ascending, thresholds, side="right")


def _best_on_grid(dialect: str, tp: np.ndarray, fp: np.ndarray, positives: int) -> dict[Named, float]:
    return {
        ("f1_max", dialect): float((2.0 * tp / (positives + tp + fp)).max()),
        ("iou", dialect): float((tp / (positives + fp)).max()),
    }
