"""Printed rates against the number of test images: a rate of n images is one of few fractions.

A data set whose counts are published has P defective and N normal test images a category once the base third
is taken out. Then accuracy is k / P, image AUROC a multiple of 1 / (2 P N), image F1 is 2 t / (t + f + P)
with whole t and f. A printed number that is none of these, after rounding, was not taken over these images.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench.data.published_counts import CategoryCounts
from bench.data.split import third
from bench.published.audit.finding import Checked, finding, metric_name
from bench.published.paper import Paper, Value

_RATES = {("classification", "accuracy"), ("image", "auroc"), ("image", "f1_max")}


def impossible_counts(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Rates that no whole number of the category's test images gives."""
    for paper in papers:
        for value, images in countable(paper):
            defective, normal = images
            rates = possible_rates(value.row["metric"], defective, normal)
            if value.facts["unit"] == "percent":
                rates = 100 * rates
            if np.abs(rates - value.printed).min() <= value.half_step + 1e-9:
                yield value, None
                continue
            near = rates[np.argsort(np.abs(rates - value.printed))[:2]]
            digits = value.facts["digits"] + 1
            expected = " or ".join(f"{rate:.{digits}f}" for rate in sorted(near))
            what = f"{defective} defective" + (f" and {normal} normal" * (value.row["level"] == "image"))
            sentence = (
                f"{metric_name(value)} {value.text} cannot be counted on the {what} test images that a third "
                f"leaves; the nearest are {expected}"
            )
            yield value, finding("counts", value, [], value.text, expected, sentence, _why(value))


def countable(paper: Paper) -> Iterator[tuple[Value, tuple[int, int]]]:
    """The values that a count of test images can be held against, with (defective, normal) images."""
    for value in paper.values:
        counts: Mapping[str, CategoryCounts] = paper.counts.get(value.row["dataset"], {})
        category = counts.get(value.row["category"])
        if category is not None and (value.row["level"], value.row["metric"]) in _RATES:
            defective = sum(n - third(n) for n in category.defects.values())
            yield value, (defective, category.test_good)


def possible_rates(metric: str, defective: int, normal: int) -> np.ndarray:
    """All values that a rate can have: accuracy k / P, AUROC in halves of pairs, F1 of whole counts."""
    if metric == "accuracy":
        return np.arange(defective + 1) / defective
    if metric == "auroc":
        return np.arange(2 * defective * normal + 1) / (2 * defective * normal)
    true, false = np.meshgrid(np.arange(defective + 1), np.arange(normal + 1))
    return np.unique(2 * true / (true + false + defective))


def _why(value: Value) -> str:
    if value.facts["quoted"]:
        return "a mean over several runs of the earlier paper, or another test set"
    if value.row["metric"] == "accuracy":
        return (
            "another test set, accuracy of one batch (AnomalyDiffusion's code), or a mean over several runs"
        )
    return "another test set, thresholds on a grid (grid21), or a mean over several runs"
