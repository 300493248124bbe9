"""The tables of docs/measured/intervals.md: how often intervals hold the truth, and equal methods differ.

    python docs/measured/intervals.py [--trials 500] [--images 1,2,4,8,16,40] [--kinds even,easy,split,tied]

Each trial draws n defective and n normal maps of two methods that are equal but for noise, resamples them as
a run does, and asks for the interval of each metric, and whether the two methods differ. The truth is the
metric of 20,000 images of either kind. tests/metrics/test_interval_coverage.py holds both to their promise.
"""

import argparse
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics import image_metrics
from bench.metrics.bootstrap import bootstrap_image_metrics, bootstrap_mean
from bench.metrics.bootstrap_pixels import bootstrap_pixel_metrics
from bench.metrics.uncertainty import StandardError, widened
from bench.record.record import Record
from bench.stages.replicates import Resamples, test_resamples, with_interval
from bench.stages.score_detection import mask_strata
from reports.board.cells import Cell
from reports.board.ranks import differ, difference_bounds, difference_p

KINDS = {
    "even": "defects that all are as hard, a little above the noise",
    "easy": "nearly all defects far above the noise, a few that are not: skewed, near 100 %",
    "split": "each method misses three defects of ten and finds the others",
    "tied": "half of the defects can hardly be seen, half are clear, in maps of the whole numbers 0 to 4",
}
"""The last was not there when the rule was chosen; the others were."""
SIDE, RESAMPLES, POPULATION = 8, 300, 20000
HIT = 2.5
"""A defective image whose highest score is above this is called right, for a share of flags."""
LEVELS = ("image", "pixel")


@dataclass(frozen=True)
class Scored:
    """The value of a metric, and its replicates."""

    value: float
    draws: np.ndarray


def masks_of(n: int, rng: np.random.Generator) -> np.ndarray:
    """n masks with a rectangle, then n empty ones, bool [2n, SIDE, SIDE]."""
    masks = np.zeros((2 * n, SIDE, SIDE), bool)
    for mask in masks[:n]:
        height, width = rng.integers(2, 5, 2)
        y, x = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
        mask[y : y + height, x : x + width] = True
    return masks


def maps_of(kind: str, masks: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Maps float32 [2n, SIDE, SIDE] of two equal methods, which share how hard each image is."""
    n = len(masks) // 2
    shared = rng.normal(0, 0.4, 2 * n)
    hardness = 4 - rng.exponential(1, n) if kind == "easy" else np.full(n, 1.2)
    if kind == "tied":
        hardness = np.where(rng.random(n) < 0.5, 0.3, 3.0)
    maps = []
    for _ in range(2):
        strength = hardness + rng.normal(0, 0.5, n)
        if kind == "split":
            strength = np.where(rng.random(n) < 0.3, 0.0, 3.0) + rng.normal(0, 0.3, n)
        noise = rng.normal(0, 1, masks.shape)
        amap = noise + (shared + rng.normal(0, 0.3, 2 * n))[:, None, None]
        amap[:n] += masks[:n] * strength[:, None, None]
        if kind == "tied":
            amap = np.clip(np.round(amap), 0, 4)
        maps.append(amap.astype(np.float32))
    return maps


def scored(
    maps: np.ndarray, masks: np.ndarray, counts: np.ndarray, levels: Sequence[str] = LEVELS
) -> dict[str, Scored]:
    """Every metric of a method, by "<level> <metric>"."""
    n = len(maps) // 2
    labels = np.arange(2 * n) < n
    metrics = {}
    if "image" in levels:
        scores = maps.max(axis=(1, 2))
        point = image_metrics(scores, labels)
        draws = bootstrap_image_metrics(scores, labels, counts)
        metrics |= {f"image {name}": Scored(point[name], draws[name]) for name in draws}
        hits = scores[:n] > HIT
        metrics["share of flags"] = Scored(float(hits.mean()), bootstrap_mean(hits, counts[:, :n]))
    if "pixel" in levels:
        pixels = bootstrap_pixel_metrics(maps, masks, counts, bins=256)
        metrics |= {
            f"pixel {name}": Scored(pixels.point[name], pixels.replicates[name])
            for name in ("auroc", "ap", "f1_max", "aupro")
        }
    return metrics


@functools.cache
def truths(kind: str, levels: tuple[str, ...] = LEVELS) -> dict[str, float]:
    """The metrics of a population."""
    rng = np.random.default_rng(99)
    masks = masks_of(POPULATION, rng)
    once = np.ones((1, len(masks)), int)
    return {name: of.value for name, of in scored(maps_of(kind, masks, rng)[0], masks, once, levels).items()}


@dataclass(frozen=True)
class Outcome:
    """What one trial says of one metric, before and now: does the interval hold the truth, is a difference
    claimed; and how wide the interval is, None where there is none."""

    metric: str
    covered_before: bool
    covered: bool
    claimed_before: bool
    claimed: bool
    width: float | None


def trial(kind: str, n: int, seed: int, truth: dict[str, float], levels: Sequence[str]) -> Iterator[Outcome]:
    """Two equal methods on n defective and n normal images."""
    rng = np.random.default_rng((n, seed))
    masks = masks_of(n, rng)
    resamples = test_resamples(f"{kind} {n} {seed}", mask_strata(masks), RESAMPLES)
    one, other = (scored(maps, masks, resamples.counts, levels) for maps in maps_of(kind, masks, rng))
    for name, mine in one.items():
        of_metric = resamples
        if name == "share of flags":
            of_metric = Resamples(resamples.counts[:, :n], resamples.strata[:n])
        record, theirs = _record(mine, of_metric), _record(other[name], of_metric)
        has_interval = record.ci_low is not None and record.ci_high is not None
        yield Outcome(
            metric=name,
            covered_before=_within(truth[name], np.quantile(mine.draws, [0.025, 0.975])),
            covered=has_interval and _within(truth[name], (record.ci_low, record.ci_high)),
            claimed_before=_claimed_before(mine, other[name]),
            claimed=_claimed(_cell(record, mine), _cell(theirs, other[name])),
            width=record.ci_high - record.ci_low if has_interval else None,
        )


def _record(of: Scored, resamples: Resamples) -> Record:
    return with_interval(Record(metric="ap"), of.value, of.draws, resamples)


def _cell(record: Record, of: Scored) -> Cell:
    """The cell of a leaderboard with this record alone."""
    error = math.nan if record.stderr is None else record.stderr
    draws = of.draws if record.stderr is None else widened(of.draws, record.stderr)
    return Cell("ok", record.value, draws=draws, spread=StandardError(error, record.df or 0.0))


def _within(value: float, ends: Sequence[float]) -> bool:
    return bool(ends[0] - 1e-12 <= value <= ends[1] + 1e-12)


def _claimed_before(one: Scored, other: Scored) -> bool:
    """The rule until version 3 of score.detection: the difference over the deviation of its draws, normal."""
    spread = float(np.std(one.draws - other.draws, ddof=1))
    gap = abs(one.value - other.value)
    return gap > 1.959964 * spread


def _claimed(one: Cell, other: Cell) -> bool:
    p = difference_p(one, other)
    return p is not None and differ([p], lambda _: difference_bounds(one, other))[0]


def outcomes(kind: str, n: int, trials: int, levels: tuple[str, ...] = LEVELS) -> list[Outcome]:
    truth = truths(kind, levels)
    return [outcome for seed in range(trials) for outcome in trial(kind, n, seed, truth, levels)]


def table(kind: str, images: Sequence[int], trials: int) -> Iterator[str]:
    """The rows of one kind of maps: the lowest and the mean coverage, the highest and the mean claims."""
    for n in images:
        rows = outcomes(kind, n, trials)
        names = dict.fromkeys(row.metric for row in rows)

        def shares(field: str, rows: list[Outcome] = rows, names: dict[str, None] = names) -> list[float]:
            return [
                100 * float(np.mean([getattr(row, field) for row in rows if row.metric == name]))
                for name in names
            ]

        before, now = shares("covered_before"), shares("covered")
        claims_before, claims = shares("claimed_before"), shares("claimed")
        width = 100 * float(np.mean([row.width for row in rows if row.width is not None]))
        yield (
            f"| {kind} | {n} | {min(before):.0f} / {np.mean(before):.0f} "
            f"| {min(now):.0f} / {np.mean(now):.0f} "
            f"| {max(claims_before):.0f} / {np.mean(claims_before):.0f} "
            f"| {max(claims):.1f} / {np.mean(claims):.1f} | {width:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--images", default="1,2,4,8,16,40")
    parser.add_argument("--kinds", default=",".join(KINDS))
    arguments = parser.parse_args()
    for kind in arguments.kinds.split(","):
        for line in table(kind, [int(n) for n in arguments.images.split(",")], arguments.trials):
            print(line, flush=True)


if __name__ == "__main__":
    main()
