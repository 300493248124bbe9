"""Exact metrics of detectors and generators: pure functions on arrays, every dialect by name.

Importing this package loads numpy only; torch, scipy and numba load where a function needs them.
"""

from bench.metrics.aupro import AUPRO_DIALECTS, aupro
from bench.metrics.auroc_ap_f1 import (
    IMAGE_DIALECTS,
    PIXEL_DIALECTS,
    image_metrics,
    image_scores,
    pixel_metrics,
)
from bench.metrics.classification import classification_metrics, harmonic_mean, recall_at_tnr, recall_by_group
from bench.metrics.estimate import Estimate
from bench.metrics.fid import fid
from bench.metrics.ic_lpips import (
    IC_LPIPS_DIALECTS,
    IcLpips,
    IcLpipsAccumulator,
    ic_lpips,
    stream_order,
)
from bench.metrics.inception_score import inception_score
from bench.metrics.inputs import MetricInputError, UndefinedMetricError
from bench.metrics.kid import kid
from bench.metrics.lpips import lpips_all_pairs
from bench.metrics.masks import MASK_DIALECTS, binarise_mask, prepare_masks
from bench.metrics.repositories import repository_metrics

__all__ = [
    "AUPRO_DIALECTS",
    "IC_LPIPS_DIALECTS",
    "IMAGE_DIALECTS",
    "MASK_DIALECTS",
    "PIXEL_DIALECTS",
    "Estimate",
    "IcLpips",
    "IcLpipsAccumulator",
    "MetricInputError",
    "UndefinedMetricError",
    "aupro",
    "binarise_mask",
    "classification_metrics",
    "fid",
    "harmonic_mean",
    "ic_lpips",
    "image_metrics",
    "image_scores",
    "inception_score",
    "kid",
    "lpips_all_pairs",
    "pixel_metrics",
    "prepare_masks",
    "recall_at_tnr",
    "recall_by_group",
    "repository_metrics",
    "stream_order",
]
