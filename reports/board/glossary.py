"""What each metric and dialect is, in one line, and how its numbers are written."""

import math
from collections.abc import Iterable

from reports.board.identity import Column

TITLES = {
    "is": "IS",
    "kid": "KID",
    "fid": "FID",
    "lpips": "LPIPS",
    "ic_lpips": "IC-LPIPS",
    "ic_lpips_a": "IC-LPIPS(a)",
    "copies": "copies",
    "leaks": "test copies",
    "mask_agreement": "mask fit",
    "mask_boundary": "mask edge",
    "mask_spill": "change outside / inside",
    "auroc": "AUROC",
    "ap": "AP",
    "f1_max": "F1-max",
    "iou": "IoU",
    "aupro": "AUPRO",
    "accuracy": "accuracy",
    "recall_at_tnr95": "recall at TNR 0.95",
}

LEVELS = {
    "generation": "generated defects",
    "generation-normal": "generated normals",
    "generation-depth": "depth of generated defects",
    "image": "image level",
    "pixel": "pixel level",
    "classification": "classification",
}

METRICS = {
    "is": "Inception score: exp of the mean divergence between the class probabilities of an image and of "
    "the set, 10 splits a defect type, then means. High where images are varied and each is recognisable.",
    "kid": "Kernel Inception distance: squared MMD with a cubic kernel between features of generated and of "
    "real images, unbiased over all pairs; may fall below zero where the sets are alike.",
    "fid": "Fréchet Inception distance between Gaussians fitted to features of generated and of real images.",
    "lpips": "Mean perceptual distance between pairs of generated images.",
    "ic_lpips": "Intra-cluster LPIPS: each generated image goes to the nearest real image of its type; mean "
    "perceptual distance between pairs within a cluster. High where samples do not copy one another.",
    "ic_lpips_a": "IC-LPIPS of images multiplied by their masks: the variety of the defects alone.",
    "copies": "Share of generated images that lie nearer to a training defect than real images lie to their "
    "nearest (below the 1st percentile of those distances). Not in the papers.",
    "leaks": "The same against the test images, which no generator may have seen. Not in the papers.",
    "mask_agreement": "How well the masks lie on what was changed in the image: contrast of the change "
    "inside and outside the mask, times its overlap with the changed pixels where the base image is known. "
    "Not in the papers.",
    "mask_boundary": "How far the change begins and ends at the outline of the mask: its slope within a "
    "pixel of the outline against that up to six pixels away; 50% where the outline is like its surroundings,"
    " 100% where nothing changes beside it. Not in the papers.",
    "mask_spill": "Mean change of a pixel outside the masks as a part of that of a pixel inside: 0 where the "
    "defect stays within its mask, 1 where the mask does not tell where an image changed. Not in the papers.",
    "auroc": "Area under the ROC curve: the chance that a defective image (pixel) scores above a normal one.",
    "ap": "Average precision: area under the precision-recall curve, as a sum over recall steps.",
    "f1_max": "The largest F1 over all thresholds.",
    "iou": "Intersection over union of defect pixels at the threshold that is best for the category; equals "
    "F1 / (2 - F1) at that threshold.",
    "aupro": "Area under the per-region overlap curve up to a false-positive rate of 0.3.",
    "accuracy": "Share of test images whose defect type is named correctly.",
    "recall_at_tnr95": "Share of defective images found while 95% of normal images pass.",
}

DIALECTS = {
    "default": "Exact: all pixels, all thresholds, all pairs; nothing sampled or binned.",
    "truncate": "Masks resized bilinearly, then only pixels equal to 1 are defect.",
    "nonzero": "Masks resized bilinearly, then every pixel above 0 is defect.",
    "ader": "Masks resized bilinearly with antialiasing, then pixels above one half are defect (ADer).",
    "grid21": "Thresholds 0, 0.05 to 1 on the raw map instead of all (AnomalyDiffusion).",
    "grid21-minmax": "The same 21 thresholds after min-max scaling of all maps together (ADer).",
    "grid101": "Thresholds 0, 0.01 to 1 on the raw map instead of all (O2MAG).",
    "trapezoid": "Area under the precision-recall curve by trapezoids, which is optimistic.",
    "per-image-oracle": "Best threshold chosen for every image on its own truth, then a mean over images.",
    "argmax": "The detector's own decision, no threshold search.",
    "pool21": "Image score from the map after 21 by 21 average pooling.",
    "subset": "Mean over random subsets of named size and number.",
    "mvtec-100": "Curve through 100 evenly spaced ranks of the normal pixels, as in MVTec 3D-AD's script.",
    "ader-200": "Curve through 200 evenly spaced thresholds, its rates stretched to 0..1, as in ADer.",
    "glass-dilated": "As ader-200, the thresholded map dilated by 5 x 5 first, as in GLASS.",
    "ojha": "50 images a cluster, drawn by a seed; clusters without a pair left out (Ojha et al.).",
    "seas": "The first 140 images a cluster, clusters without a pair counted as zero (SeaS).",
    "dfmgan": "As seas with the first 200 images a cluster and AlexNet's distance (DFMGAN).",
    "anomalyhybrid": "Clusters about held-out images of the type, at most 100 (AnomalyHybrid).",
}


def metric_title(metric: str) -> str:
    return TITLES.get(metric, metric.replace("_", " "))


def column_title(column: Column) -> str:
    """A metric's short name, its dialect where that is not the default one."""
    title = metric_title(column.metric)
    return title if column.dialect == "default" else f"{title} ({column.dialect})"


def level_title(level: str) -> str:
    return LEVELS.get(level, level)


def is_percent(column: Column) -> bool:
    return column.unit == "fraction" and column.metric not in (
        "ic_lpips",
        "ic_lpips_a",
        "kid",
        "is",
        "lpips",
        "fid",
    )


def unit_mark(column: Column) -> str:
    """ "%" or the unit, and an arrow towards better where a value has told which way that is."""
    unit = "%" if is_percent(column) else plain_unit(column)
    arrow = {"lower": "↓", "higher": "↑"}.get(column.direction, "")
    return f"{unit} {arrow}".strip()


def plain_unit(column: Column) -> str:
    """The unit of a column that is not in percent; "" for a plain number."""
    return "" if column.unit in ("fraction", "1") else column.unit


def decimals(column: Column, values: Iterable[float]) -> int:
    """Digits after the point that show three significant ones of the largest value; of percentages 1 or 2."""
    largest = max((abs(value) for value in values), default=0.0)
    if is_percent(column):
        return 1 if largest >= 0.1 or largest == 0 else 2
    return 2 if largest == 0 else min(6, max(0, 2 - math.floor(math.log10(largest))))


def number(column: Column, value: float, digits: int, signed: bool = False) -> str:
    """A value as the page writes it, with a true minus sign."""
    shown = value * 100 if is_percent(column) else value
    text = f"{shown:+.{digits}f}" if signed else f"{shown:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")
