"""Whether the two sides of a split differ in something as plain as brightness.

Where the mean brightness of an image tells base defects from training images one way, and test defects from
test images another way, a detector that has few real defects can learn the brightness, and then errs on the
test set; so can a generator. Found on Magnetic Tile Defect, whose first third has its defects on dark tiles.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.data.check import relative_name
from bench.data.layout import Item
from bench.data.split import Split
from bench.metrics.ranking.tally import Tally, auroc

LEAST_GAP = 0.25
ERRORS = 4.0
"""Between two areas: as a share, and in standard errors of two areas that are 0.5 by chance."""


def brightness_shifts(split: Split, root: Path, brightness: Mapping[str, float]) -> Iterator[str]:
    """One sentence for each category of a split whose two sides disagree on what brightness tells.

    brightness: of each image, by its path (`Report.brightness`).
    """

    def means(items: Iterable[Item]) -> np.ndarray:
        return np.array([brightness[relative_name(root, item.path)] for item in items])

    for category in split.categories:
        base = means(item for item, _ in category.base_items)
        test = means(item for items in category.test.values() for item in items)
        sides = ((base, means(category.normal)), (test, means(category.test_good)))
        if any(len(part) == 0 for side in sides for part in side):
            continue
        ours, theirs = (_area(*side) for side in sides)
        error = math.sqrt(sum(_variance(len(bad), len(good)) for bad, good in sides))
        if abs(ours - theirs) > max(LEAST_GAP, ERRORS * error):
            yield (
                f"{category.name}: brightness alone tells base defects from training images with an AUROC of "
                f"{100 * ours:.0f}, but test defects from test images with {100 * theirs:.0f}; what learns "
                "from few real defects may learn that, so compare with another split"
            )


def _area(bad: np.ndarray, good: np.ndarray) -> float:
    return auroc(Tally.of(np.concatenate([bad, good]), np.arange(len(bad) + len(good)) < len(bad)))


def _variance(bad: int, good: int) -> float:
    """Of the area that a score without information has (Mann-Whitney)."""
    return (bad + good + 1) / (12 * bad * good)
