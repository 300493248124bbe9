"""Published counts of a data set, and how a folder that claims to be that data set differs from them.

The table is TOML: a `[totals]` table, and for each category its images by part:

    [category.bottle]
    train_good = 209
    test_good = 20
    [category.bottle.defects]
    broken_large = { images = 20, base = 6 }
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from bench.data.layout import Dataset
from bench.data.split import third


@dataclass(frozen=True)
class CategoryCounts:
    train_good: int
    test_good: int
    defects: Mapping[str, int]
    """Images by type; the base of the first third is `third(images)`."""


PublishedCounts = Mapping[str, CategoryCounts]


def load_counts(text: str) -> PublishedCounts:
    """The counts of a TOML table. Raises ValueError where the table contradicts itself."""
    table = tomllib.loads(text)
    counts: dict[str, CategoryCounts] = {}
    for name, entry in table["category"].items():
        images = {defect: numbers["images"] for defect, numbers in entry["defects"].items()}
        for defect, numbers in entry["defects"].items():
            if numbers["base"] != third(numbers["images"]):
                raise ValueError(f"the base of {name}/{defect} is not a third of its images")
        counts[name] = CategoryCounts(entry["train_good"], entry["test_good"], images)
    if totals(counts) != table["totals"]:
        raise ValueError(f"the table's totals {table['totals']} are not those of its rows, {totals(counts)}")
    return counts


def totals(counts: PublishedCounts) -> dict[str, int]:
    """Sums over all categories: types, train_good, test_good, defects, base, test_defects, test."""
    sizes = [n for c in counts.values() for n in c.defects.values()]
    base = sum(third(n) for n in sizes)
    test_good = sum(c.test_good for c in counts.values())
    return {
        "types": len(sizes),
        "train_good": sum(c.train_good for c in counts.values()),
        "test_good": test_good,
        "defects": sum(sizes),
        "base": base,
        "test_defects": sum(sizes) - base,
        "test": sum(sizes) - base + test_good,
    }


def claims(dataset: Dataset, counts: PublishedCounts) -> bool:
    """Whether a data set presents itself as the published one, or as some of its categories.

    It does where all its categories are named as published ones and more than half of its (category, type)
    pairs are published: a user's own `screw` with types of its own is not MVTec AD, and an MVTec AD in which
    a type is missing or misspelt still claims to be it.
    """
    pairs = [(c.name, defect) for c in dataset.categories for defect in c.defects]
    if any(c.name not in counts for c in dataset.categories):
        return False
    published = sum(defect in counts[name].defects for name, defect in pairs)
    return 2 * published > len(pairs)


def difference(dataset: Dataset, counts: PublishedCounts) -> list[str]:
    """What differs from the published counts, a phrase each; empty where whole categories are as published.

    Categories that the data set lacks are no difference; one that is not published is.
    """
    differences = []
    for category in dataset.categories:
        if category.name not in counts:
            differences.append(f"{category.name}: not a published category")
            continue
        published = counts[category.name]
        parts = {"train/good": published.train_good, "test/good": published.test_good}
        parts |= {f"test/{defect}": n for defect, n in published.defects.items()}
        present = {"train/good": len(category.train_good), "test/good": len(category.test_good)}
        present |= {f"test/{defect}": len(items) for defect, items in category.defects.items()}
        for part in {**parts, **present}:
            if parts.get(part, 0) != present.get(part, 0):
                differences.append(
                    f"{category.name}/{part}: {present.get(part, 0)} images, published {parts.get(part, 0)}"
                )
    return differences
