"""Inception Score.

    IS = mean over splits s of  exp( mean_{i in s} sum_c p_ic (log p_ic - log mean_{j in s} p_jc) )

Salimans et al. 2016, section 4; split and shuffled as torch-fidelity does (10 splits, permutation of
numpy's RandomState(2020), split s = rows s N // 10 up to (s + 1) N // 10), so that numbers of papers that
call its command line are met. The score depends on the number of images: 1,000 give 100 a split. A split of
m images cannot score above m, and one of a single image scores 1 whatever it shows, so `splits_for` takes
fewer splits of few images. Not the score on other classifiers' probabilities: name the features beside it.

Precision: float64 throughout; 1e-6 relative of torch-fidelity, which starts from the logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.estimate import Estimate
from bench.metrics.inputs import MetricInputError, UndefinedMetricError, real_array
from bench.metrics.one_thread import on_one_blas_thread

SPLITS = 10
FEWEST_IN_A_SPLIT = 10
"""Images below which a split's score says more of their number than of what they show."""


def splits_for(images: int) -> int:
    """The splits of so many images: 10, or as many as hold 10 images, or one."""
    return max(1, min(SPLITS, images // FEWEST_IN_A_SPLIT))


@on_one_blas_thread
def inception_score(probabilities: Any, splits: int = 10, seed: int | None = 2020) -> Estimate:
    """Inception Score of class probabilities [N, C], rows summing to 1; 1..C.

    seed: of the shuffle before splitting; None keeps the order. Returns an Estimate whose error is the
    standard deviation over splits (population, as torch-fidelity prints), NaN of one split.
    Raises MetricInputError where rows are no probabilities; UndefinedMetricError where N < 2 splits, as a
    split of one image scores 1 whatever it shows.

    Precision: see the module.
    """
    p = real_array(probabilities, "probabilities", ndim=2).astype(np.float64)
    if (p < 0).any() or not np.allclose(p.sum(axis=1), 1.0, rtol=0, atol=1e-3):
        raise MetricInputError(
            "probabilities must be non-negative and each row must sum to 1; "
            "logits need a softmax, in float32 or float64"
        )
    if splits < 1:
        raise MetricInputError(f"splits must be at least 1, not {splits}")
    if len(p) < 2 * splits:
        raise UndefinedMetricError(
            f"{len(p)} images leave a split of {splits} with one, which scores 1 whatever it shows"
        )
    if seed is not None:
        p = p[np.random.RandomState(seed).permutation(len(p))]  # torch-fidelity's generator
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(p > 0, p * np.log(p), 0.0).sum(axis=1)
    scores = []
    for s in range(splits):
        rows = slice(s * len(p) // splits, (s + 1) * len(p) // splits)
        mean = p[rows].mean(axis=0)
        occurring = mean[mean > 0]
        # sum_c of the mean of p log q is q log q, as q is the mean of p
        scores.append(np.exp(surprise[rows].mean() - float(np.dot(occurring, np.log(occurring)))))
    error = float(np.std(scores)) if splits > 1 else float("nan")
    return Estimate(float(np.mean(scores)), error, "standard deviation over splits", splits)
