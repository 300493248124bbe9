"""The same predictions under every dialect that repositories publish with.

What `pixel_metrics` and `image_metrics` give one dialect at a time, for all of them at once: the maps are
tallied once for each rule of the masks and sorted once for all grids. The rules and
their sources are in `pixel`, `image` and `masks`. The values are those of these functions
(tests/metrics/test_every_dialect.py).

A dialect that a set of maps has no meaning for (a threshold of 0.5 where the maps are no probabilities) is
left out with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.metrics.image import image_metrics, image_scores
from bench.metrics.inputs import MetricInputError, UndefinedMetricError, finite_range
from bench.metrics.pixel import GRIDS
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.tally import Tally, auroc, average_precision, best_f1, iou_of_f1
from bench.metrics.ranking.tally_maps import gather

Named = tuple[str, str]
"""(metric, dialect)."""

MASK_RULES = ("truncate", "nonzero", "ader")
COMPILED_FROM = 1 << 23
"""Pixels from which the compiled tally is worth the time that loading it takes; both give the same counts."""


def pixel_dialects(
    maps: np.ndarray, masks: np.ndarray, by_rule: Mapping[str, np.ndarray]
) -> tuple[dict[Named, float], dict[Named, str], Tally]:
    """Pixel metrics of one category under every dialect but the default.

    maps: float [N, H, W]; masks: bool [N, H, W], the default truth; by_rule: dialect of `MASK_RULES` to the
    same masks prepared by it. Returns values 0..1 by (metric, dialect), the reasons of those that are
    undefined, and the tally of the default truth, of which curves can be drawn.
    Raises UndefinedMetricError where the default truth holds one class only.
    """
    compiled = None if maps.size >= COMPILED_FROM else False
    gathered = gather(MapChunks(maps, masks), compiled=compiled)
    found: dict[Named, float] = {
        ("iou", "per-image-oracle"): float(gathered.best_iou.mean()),
        ("ap", "trapezoid"): trapezoid_of_tally(gathered.tally),
    }
    undefined: dict[Named, str] = {}
    _add_grids(maps, masks, found, undefined)
    for rule, prepared in by_rule.items():
        names = [(metric, rule) for metric in ("auroc", "ap", "f1_max", "iou")]
        try:
            tally = gather(MapChunks(maps, prepared), per_image=False, compiled=compiled).tally
        except UndefinedMetricError as error:
            undefined |= dict.fromkeys(names, str(error))
            continue
        f1, _ = best_f1(tally)
        values = (auroc(tally), average_precision(tally), f1, iou_of_f1(f1))
        found |= dict(zip(names, values, strict=True))
    return found, undefined, gathered.tally


def _add_grids(
    maps: np.ndarray, masks: np.ndarray, found: dict[Named, float], undefined: dict[Named, str]
) -> None:
    """F1 and IoU at the best threshold of each grid; sorted once, a grid is a few look-ups."""
    positive, negative = np.sort(maps[masks]), np.sort(maps[~masks])
    low, high = min(positive[0], negative[0]), max(positive[-1], negative[-1])
    for name, grid in GRIDS.items():
        metrics = (("f1_max", name), ("iou", name))
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
        places = grid.astype(maps.dtype)
        tp, fp = (scores.size - np.searchsorted(scores, places, side="right") for scores in scaled)
        found[metrics[0]] = float((2.0 * tp / (positive.size + tp + fp)).max())
        found[metrics[1]] = float((tp / (positive.size + fp)).max())


def trapezoid_of_tally(tally: Tally) -> float:
    """Area under the linearly interpolated precision-recall curve, 0..1, as `trapezoid_precision_recall`.

    Recall moves only at scores of positives; the point before such a step has the positives and negatives
    that lie strictly above its score, which the tally holds.
    """
    before = np.concatenate([[0], tally.tp[:-1]])
    above = before + tally.fp_above
    earlier = np.divide(before, above, out=np.ones(above.size), where=above > 0)
    precision = tally.tp / (tally.tp + tally.fp)
    return float(np.dot(tally.tp - before, precision + earlier) / (2.0 * tally.positives))


def image_dialects(
    scores: np.ndarray, labels: np.ndarray, maps: np.ndarray | None
) -> tuple[dict[Named, float], dict[Named, str]]:
    """Image metrics of one category under every dialect but the default.

    scores: real [N], the detector's image scores; labels: bool [N]; maps: float [N, H, W] or None, from which
    `pool21` takes its own image scores. Raises UndefinedMetricError where one class is missing.
    """
    found = {("ap", "trapezoid"): image_metrics(scores, labels, dialect="trapezoid")["ap"]}
    undefined: dict[Named, str] = {}
    if scores.min() >= 0.0 and scores.max() <= 1.0:
        found["f1_max", "grid21"] = image_metrics(scores, labels, dialect="grid21")["f1_max"]
    else:
        undefined["f1_max", "grid21"] = "the scores lie outside 0..1, so the grid of thresholds means nothing"
    if maps is not None:
        pooled = image_metrics(image_scores(maps, "pool21"), labels)
        found |= {(metric, "pool21"): pooled[metric] for metric in ("auroc", "ap", "f1_max")}
    return found, undefined
