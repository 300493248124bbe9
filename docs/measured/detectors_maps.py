"""The pictures of docs/measured/detectors.md: what each detector marks on the same test images.

    python docs/measured/detectors_maps.py OUT.png STORE ... [--each 1] [--mixes pseudo,real,normal]

A column is a test image: the first ones of each defect type and of the good ones, category by category.
Below it the truth, and then the maps of every row of the leaderboards with one of the mixes, seed 0, white at
the value that one in a thousand pixels of the category exceeds.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.data.pool import Pool, open_pool
from bench.store import Store, open_store

TILE, NAMES = 80, 130
"""Side of a picture, and the room left of them for names, pixels."""
Strip = list[np.ndarray]


def cells(store: Store, mixes: list[str]) -> Iterator[tuple[str, str, Pool, np.ndarray]]:
    """Category, name of the row, test images and maps float32 [N, H, W] of each scored cell."""
    for key in sorted(store.keys()):
        definition = store.definition(key)
        labels = definition["params"].get("labels", {})
        if definition["stage"] != "score.detection" or labels["mix"] not in mixes or labels["seed"] != 0:
            continue
        used = dict(definition["inputs"])
        name = "\n".join((labels["detector"], labels["mix"], labels.get("generator", ""))).strip()
        maps = np.load(store.out(used["prediction"]) / "amaps.npy", mmap_mode="r")
        yield labels["category"], name, open_pool(store.out(used["test"])), maps


def grey(image: np.ndarray) -> np.ndarray:
    """A map in 0 to 1 as a picture uint8 [H, W, 3]."""
    return np.repeat((255 * np.clip(image, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def strips(pool: Pool, maps: dict[str, np.ndarray], per_type: int) -> dict[str, Strip]:
    """The images of a category that are shown, their truth and their maps, by the name of the row."""
    kinds = sorted(set(pool.defects), key=lambda defect: (defect == "good", defect))
    rows = [row for defect in kinds for row in pool.rows(defect)[:per_type]]
    pictures = {
        "image": [np.asarray(pool.images[row]) for row in rows],
        "truth": [grey(pool.mask(row)) for row in rows],
    }
    for name, values in maps.items():
        white = max(float(np.quantile(values, 0.999)), 1e-12)
        pictures[name] = [grey(np.asarray(values[row]) / white) for row in rows]
    return pictures


def sheet(categories: list[dict[str, Strip]]) -> Image.Image:
    """The strips of all categories side by side; nothing where a row has none of a category."""
    names = list(dict.fromkeys(name for strip in categories for name in strip))
    names = names[:2] + sorted(names[2:])
    columns = sum(len(strip["image"]) for strip in categories)
    whole = Image.new("RGB", (NAMES + TILE * columns, TILE * len(names)), "white")
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for line, name in enumerate(names):
        pen.text((4, line * TILE + 12), name, fill="black", font=font, spacing=6)
        at = NAMES
        for strip in categories:
            for number, picture in enumerate(strip.get(name, [])):
                tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.BILINEAR)
                whole.paste(tile, (at + number * TILE, line * TILE))
            at += TILE * len(strip["image"])
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--mixes", default="pseudo,real,normal")
    options = parser.parse_args()
    pools: dict[str, Pool] = {}
    maps: dict[str, dict[str, np.ndarray]] = {}
    for folder in options.stores:
        for category, name, pool, values in cells(open_store(folder), options.mixes.split(",")):
            pools[category] = pool
            maps.setdefault(category, {})[name] = values
    columns = [strips(pools[category], maps[category], options.each) for category in sorted(pools)]
    sheet(columns).quantize(256).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
