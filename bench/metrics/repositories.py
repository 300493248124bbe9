"""What a repository's evaluation prints for maps and masks: its truth, its image scores, its thresholds.

    repository_metrics("lfd", maps, masks, labels)["pixel"]["f1_max"]

`bench.record.catalogue.REPOSITORIES` says what each chooses. A run records these choices one at a time, as
dialects; here they are made together.

Precision: 1e-12 of the release's own steps written with OpenCV, Pillow and scikit-learn
(tests/metrics/test_repositories.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.metrics.auroc_ap_f1 import image_metrics, image_scores, pixel_metrics
from bench.metrics.inputs import require_choice, truth_array
from bench.metrics.masks import prepare_masks
from bench.record.catalogue import REPOSITORIES


def repository_metrics(
    repository: str,
    maps: Any,
    masks: Sequence[Any] | np.ndarray,
    labels: Any,
    *,
    scores: Any = None,
) -> dict[str, dict[str, float]]:
    """{"image": ..., "pixel": ...} as `image_metrics` and `pixel_metrics` return them, by its rules.

    repository: draem | anomalydiffusion | lfd | glass | patchcore | ader | anomalib. maps: real [N, H, W].
    masks: the N masks as their files hold them, of any sizes. labels: bool [N], true where an image lies in
    the folder of a defect; LFD and ADer go by the resized masks instead. scores: real [N], the detector's own
    image scores, which GLASS and PatchCore have; None takes them from the maps by the repository's rule.
    Raises MetricInputError, UndefinedMetricError (one class only).

    Precision: see the module.
    """
    require_choice(repository, REPOSITORIES, "repository")
    scoring = REPOSITORIES[repository]
    height, width = np.shape(maps)[1:]
    size = (height, width)
    truth = prepare_masks(list(masks), size, filter=scoring.mask_filter, rule=scoring.mask_rule)
    pixel = pixel_metrics(maps, truth, dialect=replace(scoring, iou="category"))
    if scoring.iou == "image":
        pixel["iou"] = pixel["iou_per_image_oracle"]
    if scoring.iou == "image-truncate":
        truncated = prepare_masks(list(masks), size, filter=scoring.mask_filter, rule="truncate")
        pixel["iou"] = pixel_metrics(maps, truncated)["iou_per_image_oracle"]
    if scoring.image_label == "mask":
        defective = truth.any(axis=(1, 2))
    else:
        defective = truth_array(labels, "labels", ndim=1)
    of_images = image_scores(maps, scoring.image_score) if scores is None else scores
    dialect = "trapezoid" if scoring.ap == "trapezoid" else "default"
    return {"image": image_metrics(of_images, defective, dialect=dialect), "pixel": pixel}
