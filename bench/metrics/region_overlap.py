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

from bench.metrics.chunks import MapChunks
from bench.metrics.gather import gather
from bench.metrics.inputs import MetricInputError, require_choice
from bench.metrics.overlap_dialects import SAMPLED, sampled_area
from bench.metrics.sweeps import integral_to
from bench.metrics.tally import Tally

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
    """AUPRO of a tally that carries region overlap."""
    assert tally.overlap is not None
    # the curve runs flat to just before a positive score, then rises (slanted where negatives tie with it);
    # what follows the first score beyond the limit is not needed
    beyond = int(np.searchsorted(tally.fp_above, fpr_limit * tally.negatives, side="right"))
    fp, fp_above, overlap_at = (v[: beyond + 1] for v in (tally.fp, tally.fp_above, tally.overlap))
    rate = np.empty(2 * fp.size + 2)
    overlap = np.empty_like(rate)
    rate[0], rate[1:-1:2], rate[2:-1:2], rate[-1] = 0.0, fp_above, fp, tally.negatives
    rate /= tally.negatives
    overlap[0], overlap[2:-1:2], overlap[-1] = 0.0, overlap_at, 1.0
    overlap[1:-1:2] = overlap[0:-2:2]
    return integral_to(rate, overlap, fpr_limit) / fpr_limit
