"""Printed rates against the number of test images: a rate of n images is one of few fractions.

A data set whose counts are published has P defective and N normal test images per category once the base
third is taken out. Then accuracy is k / P, image AUROC a multiple of 1 / (2 P N), image F1 is
2 t / (t + f + P) with whole t and f. A printed number that is none of these, after rounding, was not taken
over these images.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench.data.published_counts import CategoryCounts
from bench.data.split import third
from bench.published.audit.contradiction import Checked, Contradiction, contradiction, metric_name
from bench.published.paper import Paper, Value

_MOST_RUNS = 5
_FEWEST = 10
"""Rows of a column from which a number of runs can be inferred."""
_MOST_FIT = 0.85
_RATES = {("classification", "accuracy"), ("image", "auroc"), ("image", "f1_max")}


def impossible_counts(papers: Sequence[Paper]) -> Iterator[Checked]:
    """Rates that no whole number of the category's test images gives."""
    for paper in papers:
        columns: dict[tuple[str, ...], list[tuple[Value, int, int]]] = {}
        for value, defective, normal in countable(paper):
            row = value.row
            name = (row["table"], row["generator"], row["detector"], row["metric"], row["note"])
            columns.setdefault(name, []).append((value, defective, normal))
        for column in columns.values():
            explanation = _why(column)
            for value, defective, normal in column:
                yield value, _impossible(value, defective, normal, explanation)


def _impossible(value: Value, defective: int, normal: int, explanation: str) -> Contradiction | None:
    rates = _printed_rates(value, possible_rates(value.row["metric"], defective, normal))
    if _fits(value, rates):
        return None
    digits = value.facts["digits"] + 1
    near = rates[np.argsort(np.abs(rates - value.printed))[:2]]
    expected = " or ".join(f"{rate:.{digits}f}" for rate in sorted(near))
    what = f"{defective} defective" + f" and {normal} normal" * (value.row["level"] == "image")
    sentence = (
        f"{metric_name(value)} {value.text} cannot be counted on the {what} test images that a third leaves; "
        f"the nearest are {expected}"
    )
    return contradiction("counts", value, [], value.text, expected, sentence, explanation)


def countable(paper: Paper) -> Iterator[tuple[Value, int, int]]:
    """The values that can be checked with a count of test images, with defective and normal images."""
    for value in paper.values:
        counts: Mapping[str, CategoryCounts] = paper.counts.get(value.row["dataset"], {})
        category = counts.get(value.row["category"])
        if category is not None and (value.row["level"], value.row["metric"]) in _RATES:
            defective = sum(n - third(n) for n in category.defects.values())
            yield value, defective, category.test_good


def possible_rates(metric: str, defective: int, normal: int) -> np.ndarray:
    """All values that a rate can have: accuracy k / P, AUROC in halves of pairs, F1 of whole counts."""
    if metric == "accuracy":
        return np.arange(defective + 1) / defective
    if metric == "auroc":
        return np.arange(2 * defective * normal + 1) / (2 * defective * normal)
    true, false = np.meshgrid(np.arange(defective + 1), np.arange(normal + 1))
    return np.unique(2 * true / (true + false + defective))


def _printed_rates(value: Value, rates: np.ndarray) -> np.ndarray:
    return 100 * rates if value.facts["unit"] == "percent" else rates


def _fits(value: Value, rates: np.ndarray) -> bool:
    return bool(np.abs(rates - value.printed).min() <= value.half_step + 1e-9)


def _why(column: Sequence[tuple[Value, int, int]]) -> str:
    """What fits a whole column: a mean over some runs, where that is not chance."""
    first = column[0][0]
    if first.row["metric"] != "accuracy":
        return "another test set, thresholds on a grid (grid21), or a mean over runs"
    for runs in range(1, _MOST_RUNS + 1):
        fitting = 0
        by_chance = 0.0
        for value, defective, _ in column:
            rates = _printed_rates(value, np.arange(runs * defective + 1) / (runs * defective))
            fitting += _fits(value, rates)
            by_chance += min(1.0, 2 * value.half_step / (rates[1] - rates[0]))
        if len(column) >= _FEWEST and fitting >= _MOST_FIT * len(column) and by_chance < len(column) / 2:
            what = "one run: a slip or a rounding up" if runs == 1 else f"a mean over {runs} runs"
            fit = f"{fitting} of the {len(column)} rows of the column fit {what}"
            return f"{fit} ({by_chance:.1f} would by chance)"
    return "another test set, accuracy of one batch (AnomalyDiffusion's code), or a mean over runs"
