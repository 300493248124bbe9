"""AUPRO: area under the per-region-overlap curve up to a false positive rate.

    PRO(t) = mean over ground-truth regions of  #(region's pixels with score >= t) / #(region's pixels)
    FPR(t) = #(negatives >= t) / N
    AUPRO  = 1 / L * integral of PRO over FPR from 0 to L       (Bergmann et al. 2021, MVTec AD, section 5)

Regions are 8-connected and pooled over all images. `default` integrates the exact curve, by trapezoids
between distinct scores and by interpolation at L, as MVTec's official code does on every score.
Between two distinct positive scores PRO stands still, so the curve is known from the tally.

The other dialects sample the curve (`overlap_dialects`): `mvtec-100`, `ader-200`, `glass-dilated`.

Precision: 1e-9 of a brute-force curve over every distinct score. MVTec's own code keeps FPR in float32 and
differs by up to 2e-8 for that reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.aupro_dialects import SAMPLED, sampled_area
from bench.metrics.inputs import MetricInputError, require_choice
from bench.metrics.ranking.map_chunks import MapChunks
from bench.metrics.ranking.tally import Tally
from bench.metrics.ranking.tally_maps import gather

AUPRO_DIALECTS = ("default", *SAMPLED)


def aupro(
    maps: Any,
    masks: Any = None,
    *,
    fpr_limit: float = 0.3,
    dialect: str = "default",
    chunk: int | None = None,
) -> float:
    """Area under the PRO curve up to `fpr_limit`, divided by it, 0..1.

    maps: real [N, H, W]; masks: bool [N, H, W]; or streams of chunks as `pixel_metrics` takes them (the
    sampled dialects hold all scores in memory).
    Raises MetricInputError, UndefinedMetricError (no defect pixel, or no other).

    Precision: see the module.
    """
    require_choice(dialect, AUPRO_DIALECTS, "AUPRO dialect")
    require_limit(fpr_limit)
    chunks = MapChunks(maps, masks, chunk)
    if dialect in SAMPLED:
        return sampled_area(chunks, fpr_limit, dialect)
    return area_to_limit(gather(chunks, per_image=False).tally, fpr_limit)


def require_limit(fpr_limit: float) -> None:
    """Raises MetricInputError where the limit is no rate."""
    if not 0.0 < fpr_limit <= 1.0:
        raise MetricInputError(f"fpr_limit must be above 0 and at most 1, not {fpr_limit}")


def area_to_limit(tally: Tally, fpr_limit: float) -> float:
    """AUPRO of a tally that carries region overlap.

    A rise of the curve counts from where it happens to the limit: where negatives tie with its score it is
    slanted, and counts from its middle.
    """
    limit = fpr_limit * tally.negatives
    area, before = 0.0, 0.0
    for piece in tally.pieces():
        assert piece.overlap is not None
        inside = int(np.searchsorted(piece.fp, limit, side="right"))
        rise = np.diff(piece.overlap, prepend=before)
        middle = (piece.fp[:inside] + piece.fp_above[:inside]) / 2.0
        area += float(np.dot(rise[:inside], limit - middle))
        if inside < piece.fp.size:
            rest = limit - piece.fp_above[inside]
            if rest > 0.0:  # the limit cuts a slanted rise
                width = piece.fp[inside] - piece.fp_above[inside]
                area += float(rise[inside] * rest**2 / (2.0 * width))
            break
        before = piece.overlap[-1]
    return area / limit
