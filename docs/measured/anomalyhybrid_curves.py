"""Curves and table of docs/measured/anomalyhybrid.md: what decides IC-LPIPS, how smooth the painter is.

    python docs/measured/anomalyhybrid_curves.py STORE OUT.png [--steps STORE ...]

STORE holds a run of mvtec_generation on the sample with anomalyhybrid, crop_paste and as many images a type
as can be had (--set generated_per_type=160). Each STORE of --steps holds one with other training steps.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from bench.data.pool import Pool, open_pool
from bench.features import profile
from bench.store import Store, open_store

METHODS = ("anomalyhybrid", "crop_paste")
COLOURS = {"anomalyhybrid": "#c0392b", "crop_paste": "#2471a3"}
SETS = 400
"""Random sets of images that stand for as many runs."""
SIZES = (12, 24, 48, 96, 160)


class Made(NamedTuple):
    """The images of a method for a category, with the real third and train/good."""

    category: str
    generated: Pool
    real: Pool
    normal: Pool


def pools(store: Store, method: str, good: bool = False) -> Iterator[Made]:
    """For each category the largest generated pool of a method at seed 0."""
    real: dict[tuple[str, str], Path] = {}
    largest: dict[str, tuple[int, str]] = {}
    for key in sorted(store.keys()):
        task = store.definition(key)
        if task["stage"] == "data.cache":
            real[task["params"]["category"], task["params"]["part"]] = store.out(key)
        if task["stage"] != "generator.cache" or (list(task["params"]["counts"]) == ["good"]) != good:
            continue
        sample = store.definition(task["inputs"][0][1])
        if sample["adapter"].partition("@")[0] == method and sample["seed"] == 0:
            size = (sum(task["params"]["counts"].values()), key)
            category = task["params"]["category"]
            largest[category] = max(largest.get(category, (0, "")), size)
    for category, (_, key) in sorted(largest.items()):
        parts = (open_pool(real[category, part]) for part in ("base", "normal"))
        yield Made(category, open_pool(store.out(key)), *parts)


def perceptual(images: np.ndarray) -> np.ndarray:
    """float32 [N, D] whose squared distances are the embedded profile's LPIPS."""
    networks = profile("embedded", None, "cpu")
    parts = []
    for start in range(0, len(images), 16):
        stages = networks.perceptual(images[start : start + 16], networks.perceptual_names[0])
        parts.append(np.concatenate([stage.numpy() for stage in stages], axis=1))
    return np.concatenate(parts)


class Distances(NamedTuple):
    """Of one defect type: squared distances among images [N, N], and the nearest centre of each [N]."""

    among: np.ndarray
    nearest: np.ndarray

    def diversity(self, rows: np.ndarray) -> float:
        """IC-LPIPS of these images: mean over clusters of two or more of the mean over pairs."""
        values = []
        for centre in np.unique(self.nearest[rows]):
            members = rows[self.nearest[rows] == centre]
            if len(members) > 1:
                values.append(
                    self.among[np.ix_(members, members)].sum() / (len(members) * (len(members) - 1))
                )
        return float(np.mean(values))


def distances(features: np.ndarray, centres: np.ndarray) -> Distances:
    both = np.concatenate([features, centres])
    both = both - both.mean(axis=0)  # fewer digits cancel
    squares = (both * both).sum(axis=1, dtype=np.float64)
    all_pairs = np.maximum(squares[:, None] + squares[None] - 2.0 * (both @ both.T), 0)
    count = len(features)
    among = all_pairs[:count, :count]
    np.fill_diagonal(among, 0)
    return Distances(among, all_pairs[:count, count:].argmin(axis=1))


def by_type(store: Store, method: str) -> dict[str, dict[str, Distances]]:
    """ "category/defect" to the distances of "images" and of the "targets" that they are changes of."""
    per_type = {}
    for category, generated, real, _ in pools(store, method):
        assert generated.base is not None
        for defect in dict.fromkeys(generated.defects):
            rows = [row for row, name in enumerate(generated.defects) if name == defect]
            centres = perceptual(np.asarray(real.images[real.rows(defect)]))
            per_type[f"{category}/{defect}"] = {
                "images": distances(perceptual(np.asarray(generated.images[rows])), centres),
                "targets": distances(perceptual(np.asarray(generated.base[rows])), centres),
            }
    return per_type


def draws(per_type: dict[str, dict[str, Distances]], what: str, size: int) -> np.ndarray:
    """The mean over types of the IC-LPIPS of `SETS` random sets of `size` images a type."""
    rng = np.random.default_rng(0)
    types = [sets[what] for sets in per_type.values()]
    values = [
        np.mean([d.diversity(rng.permutation(len(d.nearest))[:size]) for d in types]) for _ in range(SETS)
    ]
    return np.array(values)


def spectrum(images: np.ndarray) -> np.ndarray:
    """Mean power of brightness by frequency (cycles an image, 1 to half the side), each image windowed."""
    side = images.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side))
    grey = images.astype(np.float64).mean(axis=3)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(grey)) ** 2).mean(axis=0)
    ticks = np.fft.fftfreq(side) * side
    ring = np.rint(np.hypot(ticks[:, None], ticks[None])).astype(int).ravel()
    return (np.bincount(ring, power.ravel()) / np.bincount(ring))[1 : side // 2]


def detail(images: np.ndarray, masks: np.ndarray) -> float:
    """Mean absolute Laplacian of brightness, grey levels, over the masks."""
    grey = images.astype(np.float64).mean(axis=3)
    laplacian = np.zeros_like(grey)
    laplacian[:, 1:-1, 1:-1] = np.abs(
        4 * grey[:, 1:-1, 1:-1]
        - grey[:, :-2, 1:-1]
        - grey[:, 2:, 1:-1]
        - grey[:, 1:-1, :-2]
        - grey[:, 1:-1, 2:]
    )
    return float(laplacian[masks].mean())


def near(masks: np.ndarray) -> np.ndarray:
    """A rim of five pixels about each mask."""
    from scipy import ndimage

    grown = [ndimage.binary_dilation(mask, iterations=6) & ~ndimage.binary_dilation(mask) for mask in masks]
    return np.stack(grown)


def smoothness(store: Store) -> dict[str, dict[str, float]]:
    """Detail within and around the anomalies, real and made, and of normal images; by category."""
    table: dict[str, dict[str, float]] = {}
    for method in METHODS:
        for category, pool, real, normal in pools(store, method):
            row = table.setdefault(category, {})
            images, masks = np.asarray(pool.images), np.stack([pool.mask(i) for i in range(len(pool))])
            row[f"{method} inside"] = detail(images, masks)
            row[f"{method} rim"] = detail(images, near(masks))
            where = np.stack([real.mask(i) for i in range(len(real))])
            row["real inside"] = detail(np.asarray(real.images), where)
            row["real rim"] = detail(np.asarray(real.images), near(where))
            row["normal"] = detail(np.asarray(normal.images), np.ones(normal.images.shape[:3], bool))
    for category, painted, _, _ in pools(store, "anomalyhybrid", good=True):
        table[category]["made normal"] = detail(
            np.asarray(painted.images), np.ones(painted.images.shape[:3], bool)
        )
    return table


def change(store: Store, method: str) -> dict[str, tuple[float, float]]:
    """By category, the sum of grey levels by which an image leaves its target, in and beyond its mask."""
    changes = {}
    for category, pool, _, _ in pools(store, method):
        assert pool.base is not None
        difference = np.abs(np.asarray(pool.images).astype(np.int16) - np.asarray(pool.base)).mean(axis=3)
        masks = np.stack([pool.mask(i) for i in range(len(pool))])
        inside, beyond = (float((difference * part).sum() / len(pool)) for part in (masks, ~masks))
        changes[category] = inside, beyond
    return changes


def steps_of(store: Store) -> int:
    return max(
        definition["params"]["params"]["steps"]
        for definition in map(store.definition, store.keys())
        if definition["stage"] == "generator.fit" and definition["adapter"].startswith("anomalyhybrid@")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=Path, nargs="*", default=[], help="stores of other trainings")
    options = parser.parse_args()
    store = open_store(options.store)
    by_method = {method: by_type(store, method) for method in METHODS}
    report: dict[str, object] = {"detail": smoothness(store)}

    figure, axes = plt.subplots(1, 4, figsize=(13.5, 3.1), dpi=72, constrained_layout=True)
    for method in METHODS:
        for what, style in (("images", "-"), ("targets", ":")):
            sets = {size: draws(by_method[method], what, size) for size in SIZES}
            mean = np.array([sets[size].mean() for size in SIZES])
            low, high = (np.array([np.percentile(sets[s], q) for s in SIZES]) for q in (5, 95))
            axes[0].plot(SIZES, mean, style, color=COLOURS[method], label=f"{method}, {what}")
            if what == "images":
                axes[0].fill_between(SIZES, low, high, color=COLOURS[method], alpha=0.15)
            report[f"{method} {what}"] = {
                size: [round(float(v), 3) for v in (sets[size].mean(), sets[size].std())] for size in SIZES
            }
    wins = draws(by_method["anomalyhybrid"], "images", 24) > draws(by_method["crop_paste"], "images", 24)
    report["share of pairs of 24-image sets in which anomalyhybrid is above"] = float(wins.mean())
    for method in METHODS:
        report[f"{method} by type"] = {
            name: [
                round(d[what].diversity(np.arange(len(d[what].nearest))), 2) for what in ("images", "targets")
            ]
            for name, d in by_method[method].items()
        }
    axes[0].set(xscale="log", xlabel="images a type", title="IC-LPIPS; bands: 90 % of random sets")
    axes[0].set_xticks(SIZES, [str(size) for size in SIZES])
    axes[0].minorticks_off()
    axes[0].legend(fontsize=7)

    normals = {one.category: one for one in pools(store, "anomalyhybrid", good=True)}
    for category, one in normals.items():
        ratio = spectrum(np.asarray(one.generated.images)) / spectrum(np.asarray(one.normal.images))
        axes[1].plot(np.arange(1, len(ratio) + 1), ratio, label=category, linewidth=1)
    axes[1].axhline(1, color="grey", linewidth=0.5)
    axes[1].set(xlabel="cycles an image", title="power, painted normals / photos", yscale="log")
    axes[1].legend(fontsize=7)

    for number, method in enumerate(METHODS):
        changes = change(store, method)
        report[f"{method} change in mask, beyond"] = changes
        at = np.arange(len(changes)) + 0.4 * number
        inside, beyond = np.array(list(changes.values())).T
        axes[2].bar(at, inside, 0.36, color=COLOURS[method], label=f"{method}, in its mask")
        axes[2].bar(at, beyond, 0.36, bottom=inside, color=COLOURS[method], alpha=0.4, label="beyond it")
        axes[2].set_xticks(np.arange(len(changes)) + 0.2, list(changes))
    axes[2].set(title="change of an image, grey levels")
    axes[2].legend(fontsize=7)

    points = [(steps_of(other), other) for other in [store, *map(open_store, options.steps)]]
    trained = []
    for steps, other in sorted(points, key=lambda pair: pair[0]):
        types = by_method["anomalyhybrid"] if other is store else by_type(other, "anomalyhybrid")
        parts = [draws(types, what, 24) for what in ("images", "targets")]
        trained.append((steps, *(round(float(part.mean()), 3) for part in parts)))
    report["by steps: images, targets"] = trained
    gain = [row[1] - row[2] for row in trained]
    pasted = [draws(by_method["crop_paste"], what, 24).mean() for what in ("images", "targets")]
    axes[3].plot([row[0] for row in trained], gain, "o-", color=COLOURS["anomalyhybrid"])
    axes[3].axhline(pasted[0] - pasted[1], color=COLOURS["crop_paste"])
    axes[3].set(
        xlabel="training steps (line: crop_paste)", title="IC-LPIPS beyond the targets' own", xscale="log"
    )
    axes[3].set_xticks([row[0] for row in trained], [str(row[0]) for row in trained])
    axes[3].minorticks_off()
    axes[3].set_ylim(bottom=0)
    figure.savefig(options.out)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
