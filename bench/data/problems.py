"""What can be wrong with a data set, by kind, and how it is told: one line per kind and folder."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

ERRORS: Mapping[str, str] = {
    "unreadable": "a file that cannot be decoded, or that could mean two things",
    "mask-size": "a mask (or depth map) of another size than its image",
    "missing-mask": "a defect image without a mask",
    "second-mask": "a second mask (or depth map) of one image",
    "too-few-images": "a defect type with fewer than 2 images",
    "no-normal-images": "no images in train/good",
    "no-defects": "a category without any defect image",
}
"""Kinds on which `bench run` stops."""
WARNINGS: Mapping[str, str] = {
    "no-masks": "a category without any mask: images are scored, pixels are not",
    "few-images": "a defect type with 2 images: a third of them is less than one",
    "no-normal-test-images": "no images in test/good",
    "missing-depth": "an image without a depth map among images that have one",
    "mask-without-image": "a mask whose image is missing",
    "empty-mask": "a mask without a defect",
    "vanishing-mask": "a defect type with masks of which nothing is left at the resolution of the run",
    "full-mask": "a mask that covers the whole image",
    "inverted-mask": "a mask that marks most of the image and its border",
    "mask-values": "a mask with values between 0 and 255",
    "mask-ids": "a mask whose values look like class ids",
    "mask-classes": "a mask with areas of a grey that is not taken as defect",
    "mask-colours": "a mask of several colours",
    "normal-mask": "a mask of a normal image that marks a defect",
    "pages": "an image of several pages, of which the first is read",
    "bits": "an image of more than 8 bits that loses grey levels",
    "transparency": "an image or a mask with transparent pixels",
    "colours": "an image whose colours are not read as its file means them",
    "mixed-colours": "a category with images in grey and in colour",
    "empty-folder": "a folder without images",
    "duplicate-stem": "two images of one folder with one stem",
    "duplicate-image": "images with the same bytes",
    "exif-orientation": "an image or a mask that viewers show turned",
    "stray-file": "a file or folder that is not part of the layout",
}
"""Kinds of which `bench run` warns, in its report too."""


@dataclass(frozen=True)
class Problem:
    """One fault of a data set."""

    severity: Literal["error", "warning"]
    kind: str
    """A key of `ERRORS` or `WARNINGS`."""
    category: str
    """Empty for the data set as a whole."""
    path: str
    """Relative to the data set's folder, with forward slashes."""
    message: str
    """One sentence; begins with the path."""


def sentences(problems: Iterable[Problem], ungrouped: bool = False) -> Iterator[str]:
    """One sentence per kind and folder, with the number and two examples; or one per problem."""
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        folder = problem.path.rpartition("/")[0]
        groups.setdefault((folder, problem.kind), []).append(problem.message)
    for (folder, kind), messages in groups.items():
        if ungrouped or len(messages) == 1:
            yield from messages
            continue
        meaning = ERRORS.get(kind) or WARNINGS[kind]
        where = f"{folder}/: " if folder else ""
        examples = "; ".join(message.removeprefix(f"{folder}/") for message in messages[:2])
        yield f"{where}{len(messages)} times {meaning}: {examples}" + "; ..." * (len(messages) > 2)
