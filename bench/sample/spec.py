"""What the sample data set holds: categories, defect types, counts. Plain values, no rendering."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

RENDERER_VERSION = 2
"""Goes up whenever the same spec gives other pixels; written into `sample.json`."""

CATEGORIES: dict[str, tuple[str, ...]] = {
    "chip": ("crack", "missing_part", "scratch", "stain"),
    "leather": ("crack", "dent", "hole", "scratch", "stain"),
    "washer": ("dent", "missing_part", "scratch", "stain"),
    "weave": ("cut", "hole", "missing_part", "stain"),
}
"""Category -> its defect types. Chip and washer are objects, leather and weave are textures."""

Layout = Literal["mvtec", "mvtec3d"]


@dataclass(frozen=True)
class SampleSpec:
    """The whole description of a sample data set; equal specs give equal data.

    `size` is the side of the square images in pixels (32 to 2048); `train`, `test_good`, `validation` are
    counts of good images per category (`validation` in the layout mvtec3d only) and `per_defect` the count of
    test images per defect type. Raises ValueError for a value that cannot be rendered.
    """

    seed: int = 0
    size: int = 256
    train: int = 60
    test_good: int = 16
    per_defect: int = 12
    validation: int = 10
    categories: tuple[str, ...] = tuple(CATEGORIES)
    layout: Layout = "mvtec"

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))
        for name in ("seed", "size", "train", "test_good", "per_defect", "validation"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"sample data: {name} is {value!r}; give a whole number of 0 or more")
        if not 32 <= self.size <= 2048:
            raise ValueError(f"sample data: size is {self.size}; give 32 to 2048 pixels")
        if not self.categories:
            raise ValueError(f"sample data: no category is named; choose from {', '.join(CATEGORIES)}")
        for category in self.categories:
            if category not in CATEGORIES:
                raise ValueError(
                    f"sample data: there is no category {category!r}; choose from {', '.join(CATEGORIES)}"
                )
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"sample data: a category is named twice in {', '.join(self.categories)}")
        if self.layout not in get_args(Layout):
            raise ValueError(
                f"sample data: layout is {self.layout!r}; give one of {', '.join(get_args(Layout))}"
            )


@dataclass(frozen=True)
class SampleItem:
    """One image of the data set by its place in it; `defect` is "good" where there is none."""

    category: str
    split: str
    defect: str
    index: int


def items(spec: SampleSpec) -> Iterator[SampleItem]:
    """Every item of the data set, category by category, in the order in which it is written."""
    for category in spec.categories:
        parts = [("train", "good", spec.train), ("test", "good", spec.test_good)]
        if spec.layout == "mvtec3d":
            parts.insert(1, ("validation", "good", spec.validation))
        parts += [("test", defect, spec.per_defect) for defect in CATEGORIES[category]]
        for split, defect, count in parts:
            for index in range(count):
                yield SampleItem(category, split, defect, index)


def check(item: SampleItem) -> None:
    """Raise ValueError where no such item can be rendered."""
    if item.category not in CATEGORIES:
        raise ValueError(
            f"sample data: there is no category {item.category!r}; choose from {', '.join(CATEGORIES)}"
        )
    if item.split not in ("train", "validation", "test"):
        raise ValueError(f"sample data: split is {item.split!r}; give train, validation or test")
    types = ("good", *CATEGORIES[item.category]) if item.split == "test" else ("good",)
    if item.defect not in types:
        raise ValueError(
            f"sample data: {item.category}/{item.split} has no {item.defect!r}; "
            f"choose from {', '.join(types)}"
        )
    if item.index < 0:
        raise ValueError(f"sample data: index is {item.index}; give 0 or more")
