"""Every rule by which a metric is computed, and what published repositories choose.

A dialect of detection metrics is the exact scoring with one choice changed, so that a page shows what that
choice alone moves. `REPOSITORIES` says which choices each repository makes at once.
"""

from collections.abc import Mapping

from bench.record.catalogue.entries import Dialect, Scoring

_BY_NAME = "library only: "

DIALECTS = (
    Dialect(
        "default",
        "by the exact rule",
        "Exact: all pixels, all thresholds, all pairs; nothing sampled or binned.",
        Scoring(),
    ),
    Dialect(
        "truncate",
        "with only those pixels defect that are 1 after a bilinear resize",
        "Masks resized bilinearly without antialiasing, then only pixels equal to 1 are defect (DRAEM, "
        "AnomalyDiffusion).",
        Scoring(mask_filter="bilinear", mask_rule="truncate"),
    ),
    Dialect(
        "truncate-antialias",
        "with only those pixels defect that are 1 after an antialiased bilinear resize",
        "Masks resized bilinearly with antialiasing, then only pixels equal to 1 are defect (GLASS, "
        "PatchCore).",
        Scoring(mask_filter="bilinear-antialias", mask_rule="truncate"),
    ),
    Dialect(
        "nonzero-antialias",
        "with every pixel defect that is above 0 after an antialiased bilinear resize",
        "Masks resized bilinearly with antialiasing, then every pixel above 0 is defect (LFD).",
        Scoring(mask_filter="bilinear-antialias", mask_rule="nonzero"),
    ),
    Dialect(
        "nonzero",
        "with every pixel defect that is above 0 after a bilinear resize",
        "Masks resized bilinearly without antialiasing, then every pixel above 0 is defect. No repository's "
        "rule; earlier versions took it for LFD's.",
        Scoring(mask_filter="bilinear", mask_rule="nonzero"),
        unrecorded=_BY_NAME + "bench.metrics.prepare_masks; earlier versions recorded it",
    ),
    Dialect(
        "ader",
        "with those pixels defect that are above one half after an antialiased bilinear resize",
        "Masks resized bilinearly with antialiasing, then pixels above one half are defect (ADer).",
        Scoring(mask_filter="bilinear-antialias"),
    ),
    Dialect(
        "grid21",
        "on a grid of 21 thresholds",
        "Thresholds 0, 0.05 to 1 on the raw map instead of all.",
        Scoring(thresholds="grid21"),
    ),
    Dialect(
        "grid21-truncate",
        "on a grid of 21 thresholds, with only those pixels defect that are 1 after a bilinear resize",
        "The same 21 thresholds on the masks of truncate (AnomalyDiffusion).",
        Scoring(mask_filter="bilinear", mask_rule="truncate", thresholds="grid21"),
    ),
    Dialect(
        "grid21-minmax",
        "on a grid of 21 thresholds after min-max scaling",
        "The same 21 thresholds after min-max scaling of all maps together (ADer).",
        Scoring(thresholds="grid21-minmax"),
    ),
    Dialect(
        "grid101",
        "on a grid of 101 thresholds",
        "Thresholds 0, 0.01 to 1 on the raw map instead of all (O2MAG).",
        Scoring(thresholds="grid101"),
    ),
    Dialect(
        "argmax",
        "at the detector's own decision",
        "The detector's own decision, no threshold search.",
        Scoring(thresholds="argmax"),
    ),
    Dialect(
        "trapezoid",
        "by trapezoids",
        "Area under the precision-recall curve by trapezoids, which is optimistic.",
        Scoring(ap="trapezoid"),
    ),
    Dialect(
        "per-image-oracle",
        "at the best threshold of each image",
        "Best threshold chosen for every image on its own truth, then a mean over images.",
        Scoring(iou="image"),
    ),
    Dialect(
        "per-image-oracle-truncate",
        "at the best threshold of each image that has a pixel left of the antialiased, truncated masks",
        "The same on the masks of truncate-antialias; images whose mask they leave empty are left out (LFD).",
        Scoring(mask_filter="bilinear-antialias", mask_rule="truncate", iou="image"),
    ),
    Dialect(
        "pool21",
        "of the map averaged over 21 by 21 pixels",
        "Image score from the map after 21 by 21 average pooling.",
        Scoring(image_score="pool21"),
    ),
    Dialect(
        "mvtec-100",
        "through 100 ranks of the normal pixels",
        "Curve through 100 evenly spaced ranks of the normal pixels, as in MVTec 3D-AD's script.",
        unrecorded=_BY_NAME + "bench.metrics.aupro",
    ),
    Dialect(
        "ader-200",
        "through 200 thresholds, its rates stretched to 0..1",
        "Curve through 200 evenly spaced thresholds, its rates stretched to 0..1, as in ADer.",
        unrecorded=_BY_NAME + "bench.metrics.aupro",
    ),
    Dialect(
        "glass-dilated",
        "through 200 thresholds of the dilated map, its rates stretched to 0..1",
        "As ader-200, the thresholded map dilated by 5 x 5 first, as in GLASS.",
        unrecorded=_BY_NAME + "bench.metrics.aupro",
    ),
    Dialect(
        "subset",
        "over random subsets",
        "Mean over 100 random subsets of min(both sets, 1,000) images, as torch-fidelity and DFMGAN take it.",
    ),
    Dialect(
        "resize-256",
        "of images resized to 256 pixels first",
        "Images resized to 256 pixels before the network resizes them to its own size (SeaS).",
        unrecorded="what `default` is at resolution 256; records of earlier versions name SeaS's values so",
    ),
    Dialect(
        "anomalyhybrid",
        "in 100 groups around test images",
        "Clusters about held-out images of the type, at most 100 (AnomalyHybrid).",
    ),
    Dialect(
        "ojha",
        "of 50 random images a cluster",
        "50 images a cluster, drawn by a seed; clusters without a pair left out (Ojha et al.).",
    ),
    Dialect(
        "seas",
        "of the first 140 images a cluster, empty clusters as zero",
        "The first 140 images a cluster, clusters without a pair counted as zero; centres resized by the "
        "nearest pixel and taken as 0 to 255 (SeaS).",
    ),
    Dialect(
        "dfmgan",
        "of the first 200 images a cluster, by AlexNet",
        "As seas with the first 200 images a cluster and AlexNet's distance (DFMGAN).",
    ),
)

REPOSITORIES: Mapping[str, Scoring] = {
    "draem": Scoring(mask_filter="bilinear", mask_rule="truncate", image_score="pool21"),
    "anomalydiffusion": Scoring(
        mask_filter="bilinear", mask_rule="truncate", image_score="pool21", thresholds="grid21"
    ),
    "lfd": Scoring(
        mask_filter="bilinear-antialias", mask_rule="nonzero", iou="image-truncate", image_label="mask"
    ),
    "glass": Scoring(mask_filter="bilinear-antialias", mask_rule="truncate"),
    "patchcore": Scoring(mask_filter="bilinear-antialias", mask_rule="truncate"),
    "ader": Scoring(mask_filter="bilinear-antialias", thresholds="grid21-minmax", image_label="mask"),
    "anomalib": Scoring(mask_filter="nearest", ap="trapezoid"),
}
"""What each repository chooses; `bench.metrics.repository_metrics` scores by it."""
