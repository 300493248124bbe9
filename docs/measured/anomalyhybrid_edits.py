"""The numbers of docs/measured/anomalyhybrid.md on what a trained painter keeps and where it follows an edit.

    python docs/measured/anomalyhybrid_edits.py STORE

In grey levels, mean absolute: an image rendered from its own colour, depth and edges, against a copy of one
more of the category; and the change that a disc of other depth, or an edge drawn round that disc, makes there
and beyond four of its radii. Of train/good, `ROWS` images a category.
"""

import sys
from pathlib import Path

import numpy as np
from anomalyhybrid_pictures import Studio, find_fit

from bench.store import open_store

ROWS = 12
RADIUS = 1 / 16
"""Of the disc, in image sides."""


def edits(stack: np.ndarray, distance: np.ndarray) -> dict[str, np.ndarray]:
    """The stack with its depth lifted in the disc, and with an edge round the disc."""
    lifted, edged = stack.copy(), stack.copy()
    lifted[3][distance < RADIUS] -= 0.3
    edged[4][np.abs(distance - RADIUS) < 1 / stack.shape[1]] = 1
    return {"ahd": lifted, "ahe": edged}


def row(studio: Studio, category: str) -> str:
    views = studio.views(category)["normal"]
    side = views.images.shape[1]
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    distance = np.hypot(y - 0.42, x - 0.3)
    stacks = [views.stack(number) for number in range(ROWS)]
    colours = [np.rint(np.moveaxis(stack[:3], 0, 2) * 255) for stack in stacks]
    copies = [np.abs(a - b).mean() for a in colours for b in colours if a is not b]
    clauses = [f"{category:14s} copy {np.mean(copies):5.1f}"]
    for decoder in ("ahd", "ahe"):
        images = [studio.identity(stack, decoder).astype(float) for stack in stacks]
        errors = [np.abs(image - colour).mean() for image, colour in zip(images, colours, strict=True)]
        clauses.append(f"{decoder} identity {np.mean(errors):4.1f}")
        changes = [
            np.abs(studio.identity(edits(stack, distance)[decoder], decoder) - image).mean(axis=2)
            for stack, image in zip(stacks, images, strict=True)
        ]
        within, beyond = distance < 1.3 * RADIUS, distance > 4 * RADIUS
        inside, outside = (np.mean([change[part].mean() for change in changes]) for part in (within, beyond))
        clauses.append(f"edit {inside:5.2f} there, {outside:5.3f} beyond")
    return "; ".join(clauses)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    studio = Studio(find_fit(open_store(Path(sys.argv[1])), "anomalyhybrid"))
    for category in studio.fit.categories:
        print(row(studio, category), flush=True)


if __name__ == "__main__":
    main()
