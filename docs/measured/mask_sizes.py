"""What is left of thin defects at 512 pixels, made from the files and made of the images at 256.

    python docs/measured/mask_sizes.py

Prints the table of docs/measured/seas.md: the mean IoU of masks 1024 -> 256 -> 512 with 1024 -> 512, by width
of the defect, and the share of the area of a mask at 512 that is left of it at 256, where it is scored.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt

from bench.data.view import View

SIDE, LINES = 1024, 20
WIDTHS = (3, 5, 7, 9, 13, 17, 25)


def crack(rng: np.random.Generator, width: int) -> np.ndarray:
    """A crack of some width as bool [SIDE, SIDE]: a walk of slowly turning direction."""
    angle, points = rng.uniform(0, 2 * np.pi), [rng.uniform(300, 724, 2)]
    for _ in range(400):
        angle += rng.normal(0, 0.06)
        points.append(points[-1] + (np.cos(angle), np.sin(angle)))
    axis = np.ones((SIDE, SIDE), bool)
    row, column = np.clip(np.round(points).astype(int).T, 0, SIDE - 1)
    axis[row, column] = False
    return distance_transform_edt(axis) <= (width - 1) / 2


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return (a & b).sum() / union if union else 1.0


def main() -> None:
    print("| width | IoU of 1024 → 256 → 512 with 1024 → 512 | lost | area of 512 left at 256 | lost |")
    print("|---|---|---|---|---|")
    for width in WIDTHS:
        rng = np.random.default_rng(width)
        masks = [crack(rng, width) for _ in range(LINES)]
        at_512, at_256 = ([View(side).mask(mask) for mask in masks] for side in (512, 256))
        enlarged = [View(512).mask(mask) for mask in at_256]
        reduced = [View(256).mask(mask, rule="half-or-most") for mask in at_512]
        print(
            f"| {width} | {np.mean([iou(a, b) for a, b in zip(enlarged, at_512, strict=True)]):.2f} "
            f"| {sum(not mask.any() for mask in enlarged)} of {LINES} "
            f"| {np.mean([4 * a.sum() / b.sum() for a, b in zip(reduced, at_512, strict=True)]):.2f} "
            f"| {sum(not mask.any() for mask in reduced)} of {LINES} |"
        )


if __name__ == "__main__":
    main()
