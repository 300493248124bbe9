"""Pixel-level AUROC, AP, F1-max, IoU and AUPRO over all pixels of a category.

Formulas: `tally` and `region_overlap`. The default is exact over all thresholds. What else papers call IoU is
returned or named:

    iou                    over all pixels at the threshold of the best F1; that is F1 / (2 - F1)
    iou_per_image_oracle   mean over anomalous images of each image's best IoU over its own thresholds
                           (LFD's rule, and presumably SeaS's): an oracle picks the threshold an image

Dialects, for the numbers of repositories (`truncate` and `nonzero` differ in the masks only: prepare them by
MASK_DIALECTS, then the exact rules apply; the names are accepted here so that a record can carry one name):

    grid21         F1 and IoU: best of the thresholds 0, .05 .. 1 on the raw map, `score >` (AnomalyDiffusion)
    grid21-minmax  the same after min-max scaling of all maps together                       (ADer)
    grid101        F1 and IoU: best of the thresholds 0, .01 .. 1 on the raw map, `score >`  (O2MAG)
    argmax         F1 and IoU at the detector's own decision, probability > 0.5
    trapezoid      AP: area under the linearly interpolated precision-recall curve (anomalib, spot-diff)

Precision: AUROC, AP, F1 and IoU 1e-12 of scikit-learn on the same scores, AUPRO 1e-9 of brute force
(tests/metrics).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.metrics.aupro import area_to_limit, require_limit
from bench.metrics.inputs import MetricInputError, UndefinedMetricError, finite_range, require_choice
from bench.metrics.ranking.map_chunks import Chunk, MapChunks
from bench.metrics.ranking.tally import auroc, average_precision, best_f1, iou_of_f1
from bench.metrics.ranking.tally_maps import gather
from bench.metrics.threshold_grids import GRID21, GRID101, best_f1_on_grid, trapezoid_precision_recall

GRIDS = {"grid21": GRID21, "grid21-minmax": GRID21, "grid101": GRID101, "argmax": np.array([0.5])}
PIXEL_DIALECTS = ("default", "truncate", "nonzero", *GRIDS, "trapezoid")


def pixel_metrics(
    maps: Any,
    masks: Any = None,
    *,
    dialect: str = "default",
    chunk: int | None = None,
    fpr_limit: float = 0.3,
) -> dict[str, float]:
    """All pixel metrics of one category, in one read of float32 maps and two of float64.

    maps: real [N, H, W], higher is more anomalous; masks: bool [N, H, W] (`prepare_masks`). Both may be
    numpy arrays, memory maps or torch tensors; or iterables of chunks [n, H, W] or [H, W]; or `maps` an
    iterable of (maps, masks) pairs with masks None. chunk: images read at a time from an array.
    Returns auroc, ap, f1_max, threshold (`score >= threshold`; `>` on grids), iou, iou_per_image_oracle,
    aupro (to `fpr_limit`), all but the threshold 0..1.
    Raises MetricInputError (NaN, infinities, shapes, empty), UndefinedMetricError (one class only).

    Precision: see the module.
    """
    require_choice(dialect, PIXEL_DIALECTS, "pixel dialect")
    require_limit(fpr_limit)
    source = MapChunks(maps, masks, chunk)
    if not source.rereadable and dialect in (*GRIDS, "trapezoid"):
        raise MetricInputError(
            f"dialect '{dialect}' reads the maps again; give arrays, memory maps or lists, not an iterator"
        )
    gathered = gather(source)
    tally = gathered.tally
    f1, threshold = best_f1(tally)
    iou = iou_of_f1(f1)
    ap = average_precision(tally)
    if dialect in GRIDS:
        scaled = _min_max_scaled(source) if dialect == "grid21-minmax" else source
        f1, iou, threshold = best_f1_on_grid(scaled, GRIDS[dialect])
    if dialect == "trapezoid":
        pairs = [(amap.ravel(), mask.ravel()) for amap, mask in source]
        ap = trapezoid_precision_recall(
            np.concatenate([amap for amap, _ in pairs]), np.concatenate([mask for _, mask in pairs])
        )
    return {
        "auroc": auroc(tally),
        "ap": ap,
        "f1_max": f1,
        "threshold": threshold,
        "iou": iou,
        "iou_per_image_oracle": float(gathered.best_iou.mean()),
        "aupro": area_to_limit(tally, fpr_limit),
    }


def _min_max_scaled(source: MapChunks) -> Iterator[Chunk]:
    low = min(maps.min() for maps, _ in source)
    high = max(maps.max() for maps, _ in source)
    if low == high:
        raise UndefinedMetricError("all maps hold one value, so min-max scaling is undefined")
    span = finite_range(low, high, "the maps")
    return (((maps - low) / span, masks) for maps, masks in source)
