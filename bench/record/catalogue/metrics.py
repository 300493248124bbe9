"""Every metric and every level, in the order in which pages show them."""

from bench.record.catalogue.entries import Level, Metric

LEVELS = (
    Level("generation", "generated defects"),
    Level("generation-normal", "generated normals"),
    Level("generation-depth", "depth of generated defects"),
    Level("image", "image level"),
    Level("pixel", "pixel level"),
    Level("classification", "classification"),
    Level("cost", "cost"),
)

_DEFECTS = ("generation", "generation-depth")
_CLASSES = ("classification",)
_IC_LPIPS = ("default", "anomalyhybrid", "ojha", "seas", "dfmgan")
_MASKS = ("default", "truncate", "truncate-antialias", "nonzero", "nonzero-antialias", "ader")
_GRIDS = ("grid21", "grid21-truncate", "grid21-minmax", "grid101", "argmax")
_PUBLISHED = "published only: AnomalyHybrid prints it, and no data set here has its classes"

_IMAGES = (
    Metric(
        "is",
        "IS",
        "Inception score: exp of the mean divergence between the class probabilities of an image and of "
        "the set, 10 splits a defect type, then means. High where images are varied and each is "
        "recognisable. Needs 20 images of a type, two per split: a split of one scores 1 whatever it shows.",
        _DEFECTS,
        unit="1",
        table="images",
        dialects=("default", "resize-256"),
        brief=True,
        by_type=True,
        tolerance=0.0,
        relative=0.001,
    ),
    Metric(
        "kid",
        "KID",
        "Kernel Inception distance: squared MMD with a cubic kernel between features of generated and of "
        "real images, unbiased over all pairs; may fall below zero where the sets are alike. "
        "Needs two images in each set.",
        ("generation", "generation-normal", "generation-depth"),
        unit="1",
        direction="lower",
        table="images",
        dialects=("default", "subset"),
        brief=True,
        tolerance=1e-4,
        relative=0.001,
    ),
    Metric(
        "fid",
        "FID",
        "Fréchet Inception distance between Gaussians fitted to features of generated and of real images. "
        "Needs two images in each set.",
        _DEFECTS,
        unit="1",
        direction="lower",
        table="images",
    ),
    Metric(
        "lpips",
        "LPIPS",
        "Mean perceptual distance between pairs of generated images.",
        _DEFECTS,
        unit="1",
        table="images",
        by_type=True,
        tolerance=0.0,
        relative=0.001,
    ),
    Metric(
        "ic_lpips",
        "IC-LPIPS",
        "Intra-cluster LPIPS: each generated image goes to the nearest real image of its type; mean "
        "perceptual distance between pairs within a cluster. High where samples do not copy one another.",
        _DEFECTS,
        unit="1",
        table="images",
        dialects=_IC_LPIPS,
        brief=True,
        by_type=True,
        tolerance=0.0,
        relative=0.001,
    ),
    Metric(
        "ic_lpips_a",
        "IC-LPIPS(a)",
        "IC-LPIPS of images multiplied by their masks: the variety of the defects alone.",
        _DEFECTS,
        unit="1",
        table="images",
        dialects=_IC_LPIPS,
        brief=True,
        by_type=True,
        tolerance=0.0,
        relative=0.001,
    ),
)

_HONESTY = (
    Metric(
        "copies",
        "copies",
        "Share of generated images that lie nearer to a training defect than real images lie to their "
        "nearest (below the 1st percentile of those distances). Needs three real images. Not in the papers.",
        _DEFECTS,
        direction="lower",
        table="honesty",
        brief=True,
    ),
    Metric(
        "leaks",
        "test copies",
        "The same against the test images, which no generator may have seen. Needs three real images. "
        "Not in the papers.",
        _DEFECTS,
        direction="lower",
        table="honesty",
    ),
    Metric(
        "mask_agreement",
        "mask fit",
        "How well the masks lie on what was changed in the image: contrast of the change "
        "inside and outside the mask, times its overlap with the changed pixels where the base image is "
        "known. Not in the papers.",
        _DEFECTS,
        table="honesty",
    ),
    Metric(
        "mask_boundary",
        "mask edge",
        "How far the change begins and ends at the outline of the mask: its slope within a "
        "pixel of the outline against that up to six pixels away; 50% where the outline is like its "
        "surroundings, 100% where nothing changes beside it. Not in the papers.",
        _DEFECTS,
        table="honesty",
    ),
    Metric(
        "mask_spill",
        "change outside / inside",
        "Mean change of a pixel outside the masks as a part of that of a pixel inside: 0 where the "
        "defect stays within its mask, 1 where the mask does not tell where an image changed. "
        "Not in the papers.",
        _DEFECTS,
        unit="1",
        direction="lower",
        table="honesty",
    ),
)

_DETECTORS = (
    Metric(
        "auroc",
        "AUROC",
        "Area under the ROC curve: the chance that a defective image (pixel) scores above a normal one.",
        ("image", "pixel"),
        dialects=(*_MASKS, "pool21"),
        headline={"image": 3},
    ),
    Metric(
        "ap",
        "AP",
        "Average precision: area under the precision-recall curve, as a sum over recall steps.",
        ("image", "pixel"),
        dialects=(*_MASKS, "trapezoid", "pool21"),
        headline={"pixel": 1},
    ),
    Metric(
        "f1_max",
        "F1-max",
        "The largest F1 over all thresholds.",
        ("image", "pixel"),
        dialects=(*_MASKS, *_GRIDS, "pool21"),
    ),
    Metric(
        "recall_at_tnr95",
        "recall at TNR 0.95",
        "Share of defective images found while 95% of normal images pass. Needs 20 normal images.",
        ("image",),
    ),
    Metric(
        "iou",
        "IoU",
        "Intersection over union of defect pixels at the threshold that is best for the category; equals "
        "F1 / (2 - F1) there. LFD's IoU, and presumably SeaS's, is another: a mean over images at the best "
        "threshold of each.",
        ("pixel",),
        dialects=(*_MASKS, *_GRIDS, "per-image-oracle", "per-image-oracle-truncate"),
        head="IoU (at the best F1)",
    ),
    Metric(
        "aupro",
        "AUPRO",
        "Area under the per-region overlap curve up to a false-positive rate of 0.3.",
        ("pixel",),
        dialects=(*_MASKS, "mvtec-100", "ader-200", "glass-dilated"),
    ),
    Metric(
        "accuracy",
        "accuracy",
        "Share of test images whose defect type is named correctly.",
        _CLASSES,
        headline={"classification": 2},
    ),
    Metric(
        "recall_signal",
        "recall signal",
        "Share of signal butterflies that are recognised.",
        _CLASSES,
        unrecorded=_PUBLISHED,
    ),
    Metric(
        "recall_nonsignal",
        "recall nonsignal",
        "Share of non-signal hybrids that are recognised.",
        _CLASSES,
        unrecorded=_PUBLISHED,
    ),
    Metric(
        "recall_mimic",
        "recall mimic",
        "Share of mimic hybrids that are recognised.",
        _CLASSES,
        unrecorded=_PUBLISHED,
    ),
    Metric(
        "recall_hmean",
        "recall hmean",
        "Harmonic mean of the recalls of the kinds of butterflies.",
        _CLASSES,
        unrecorded=_PUBLISHED,
    ),
)


def _cost(name: str, title: str, unit: str, sentence: str, unrecorded: str = "") -> Metric:
    return Metric(
        name,
        title,
        sentence,
        ("cost",),
        unit=unit,
        direction="lower",
        table="cost",
        unrecorded=unrecorded,
    )


_COSTLY = ("generator.derive", "generator.fit", "generator.sample", "detector.fit", "detector.predict")
_COSTS = (
    *(
        entry
        for stage in _COSTLY
        for entry in (
            _cost(f"{stage} seconds", f"{stage} seconds", "s", "Wall-clock time of one task."),
            _cost(f"{stage} peak memory", f"{stage} peak memory", "bytes", "Most memory that one task held."),
        )
    ),
    _cost(
        "train_hours_a100",
        "train hours a100",
        "h",
        "Hours of training on one A100.",
        "published only: SeaS prints it",
    ),
    _cost(
        "inference_ms_per_image_a100",
        "inference ms per image a100",
        "ms",
        "Milliseconds per image on one A100.",
        "published only: SeaS prints it",
    ),
)

METRICS = (*_IMAGES, *_HONESTY, *_DETECTORS, *_COSTS)
