"""Which real defects train the generators (the base), and which images test the detectors.

Rules, by name and version:
  first-third@1   the first floor(n / 3) images of each defect type, at least 1, in natural file order
                  (AnomalyDiffusion, SeaS, LFD; protocol variants in their order of file numbers)
  random@1        floor(n / 3), at least 1, drawn by a seed (AnomalyHybrid, 4.3, names neither seed nor list)
  shots-1@1       the first 1 (or 2, shots-2@1) of the first third; the test set stays that of first-third
  file:...        what a file lists
The rest of each type and all of test/good are the test set. train/good is what is normal in training.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.data.layout import Category, Dataset, Item
from bench.errors import BenchError, did_you_mean
from bench.streams import stream

Items = tuple[Item, ...]
RULES = ("first-third@1", "random@1", "shots-1@1", "shots-2@1")


@dataclass(frozen=True)
class CategorySplit:
    """One category: normal images for training, base and test images by defect type, normal test images."""

    name: str
    normal: Items
    base: Mapping[str, Items]
    test: Mapping[str, Items]
    """Same keys as `base`; disjoint from it. A split by shots leaves images in neither."""
    test_good: Items

    @property
    def base_items(self) -> tuple[tuple[Item, str], ...]:
        """(item, defect) of every base image, as `build_pool` takes them."""
        return tuple((item, defect) for defect, items in self.base.items() for item in items)

    @property
    def test_items(self) -> tuple[tuple[Item, str], ...]:
        """(item, defect) of every test image: each defect's, then the normal ones ("good")."""
        pairs = [(item, defect) for defect, items in self.test.items() for item in items]
        return (*pairs, *((item, "good") for item in self.test_good))


@dataclass(frozen=True)
class Counts:
    """Sizes of a split over its categories."""

    types: int
    normal: int
    base: int
    test_defects: int
    test_good: int

    @property
    def test(self) -> int:
        return self.test_defects + self.test_good


@dataclass(frozen=True)
class Split:
    """A split of a data set. `name` says the rule and its version; `seed` is None where nothing is drawn."""

    name: str
    seed: int | None
    categories: tuple[CategorySplit, ...]

    def category(self, name: str) -> CategorySplit:
        for category in self.categories:
            if category.name == name:
                return category
        raise BenchError(did_you_mean("category", name, (c.name for c in self.categories), of="the split"))

    def select(self, names: Sequence[str]) -> "Split":
        """The split with these categories alone, in its own order."""
        selected = {self.category(name).name for name in names}
        return replace(self, categories=tuple(c for c in self.categories if c.name in selected))

    def counts(self) -> Counts:
        def total(parts: Iterable[Mapping[str, Items]]) -> int:
            return sum(len(items) for part in parts for items in part.values())

        return Counts(
            types=sum(len(c.base) for c in self.categories),
            normal=sum(len(c.normal) for c in self.categories),
            base=total(c.base for c in self.categories),
            test_defects=total(c.test for c in self.categories),
            test_good=sum(len(c.test_good) for c in self.categories),
        )


def third(n: int) -> int:
    """floor(n / 3), at least 1: how many of n images of a type are the base."""
    return max(n // 3, 1)


def make_split(dataset: Dataset, rule: str = "first-third@1", seed: int | None = None) -> Split:
    """The split of a data set by a named rule; a name without "@" means its newest version.

    `random@1` needs a seed, the others take none. Raises BenchError for an unknown rule and for a type with
    fewer than 2 images, which cannot be on both sides.
    """
    full = rule if "@" in rule else f"{rule}@1"
    if full not in RULES:
        raise BenchError(did_you_mean("split", rule, RULES))
    if (full == "random@1") != (seed is not None):
        what = "needs a seed" if seed is None else "takes no seed"
        raise BenchError(f"the split '{full}' {what}; {'give one' if seed is None else 'leave it out'}")
    return Split(full, seed, tuple(_split_category(c, full, seed) for c in dataset.categories))


def _split_category(category: Category, rule: str, seed: int | None) -> CategorySplit:
    base: dict[str, Items] = {}
    test: dict[str, Items] = {}
    for defect, items in category.defects.items():
        if len(items) < 2:
            raise BenchError(
                f"defect type '{defect}' of '{category.name}' has {len(items)} image; a split needs 2"
            )
        chosen = list(range(third(len(items))))
        if rule == "random@1":
            rng = stream(seed, "split", rule, category.name, defect, None)
            chosen = sorted(rng.permutation(len(items))[: third(len(items))].tolist())
        shots = re.fullmatch(r"shots-(\d)@1", rule)
        base_rows = chosen[: int(shots[1])] if shots else chosen
        base[defect] = tuple(items[i] for i in base_rows)
        test[defect] = tuple(item for i, item in enumerate(items) if i not in set(chosen))
    return CategorySplit(category.name, category.train_good, base, test, category.test_good)
