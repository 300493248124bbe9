"""What detectors are trained on and which checkpoint is kept, in words; mixes in the order of pages.

A protocol may define a mix of its own: its name is then shown as it is, after these.
"""

from bench.record.catalogue.entries import MixEntry, Wording

MIXES = (
    MixEntry("real", "real only", "trained on real defects"),
    MixEntry("generated+real", "generated + real", "trained on generated and real defects"),
    MixEntry("pseudo", "own synthesis", "trained on pseudo-anomalies", "own synthesis only"),
    MixEntry(
        "pseudo+generated",
        "own synthesis + generated",
        "trained on pseudo-anomalies and generated defects",
    ),
    MixEntry(
        "pseudo+real",
        "own synthesis + real",
        "trained on pseudo-anomalies and real defects",
        "own synthesis + real third",
    ),
    MixEntry("normal", "real normals", "trained on real normal images", "train/good only"),
    MixEntry("normal+generated", "real + generated normals", "trained on real and generated normal images"),
    MixEntry("generated", "generated only", "trained on generated defects"),
    MixEntry(
        "generated+generated-normal",
        "generated, with generated normals",
        "trained on generated defects and generated normal images",
    ),
    MixEntry("", "", "nothing trained"),
)

SELECTIONS = (
    Wording("last", "checkpoint of the last epoch"),
    Wording(
        "fixed-epoch", "checkpoint of an epoch fixed for the data set", "published only: LFD's released code"
    ),
    Wording("validation", "checkpoint chosen on a validation part", "no protocol has a validation part yet"),
    Wording("test-oracle", "checkpoint chosen on the test set"),
)

SCOPES = (
    Wording("dataset", "one model for all categories"),
    Wording("category", "one model a category"),
    Wording("defect", "one model a defect type", "of generators alone, whose scope is not in records"),
)
