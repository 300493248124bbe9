"""What the cells of a protocol stand on: the split, its images, and what the generators made of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.planning.config import CategoryPlan, PlanConfig, ResolvedMethod, SplitPlan
from bench.stages.data import RealPools, real_pools
from bench.stages.depth import DepthImages
from bench.stages.generator import ANY, GOOD, GeneratorCache
from bench.tasks import Task


@dataclass(frozen=True)
class RowPlan:
    """One kind of training set: a mix of the protocol, with the images of a generator or of none."""

    mix: str
    generator: ResolvedMethod | None = None


@dataclass(frozen=True)
class SeedImages:
    """What detectors are trained and tested on: real images, and what the generators made of them."""

    pools: Mapping[str, RealPools]
    """By category; likewise below, by generator and category, where it makes any."""
    anomalies: Mapping[str, Mapping[str, Task]]
    normals: Mapping[str, Mapping[str, Task]]


@dataclass(frozen=True)
class SeedData:
    """What all cells of one seed stand on: the split, its images, and the same images by their depth."""

    config: PlanConfig
    seed: int
    split: SplitPlan
    colour: SeedImages
    depth: SeedImages
    """Of the categories that have depth, and the generators that make it."""


def seed_data(config: PlanConfig, seed: int) -> SeedData:
    """The images of one seed, real and generated."""
    split = config.splits[seed]
    pools = {category.name: real_pools(config, category) for category in split.categories}

    def made(
        asked: Callable[[PlanConfig, ResolvedMethod, CategoryPlan], Mapping[str, int]],
    ) -> dict[str, Any]:
        return {
            generator.name: {
                category.name: GeneratorCache.task(config, generator, category, pools, counts, seed)
                for category in split.categories
                if (counts := asked(config, generator, category))
            }
            for generator in config.generators
        }

    colour = SeedImages(pools, made(anomalies_of), made(normals_of))
    return SeedData(config, seed, split, colour, _by_depth(config, split, colour))


def _by_depth(config: PlanConfig, split: SplitPlan, colour: SeedImages) -> SeedImages:
    """The same images, each by the grey image of its depth."""
    deep = [category.name for category in split.categories if category.has_depth]
    makers = {generator.name for generator in config.generators if "depth" in yields_of(generator)}

    def seen(category: str, pool: Task) -> Task:
        return DepthImages.task(category, pool, colour.pools[category].normal)

    def made(held: Mapping[str, Mapping[str, Task]]) -> dict[str, dict[str, Task]]:
        return {
            name: {category: seen(category, pool) for category, pool in found.items() if category in deep}
            for name, found in held.items()
            if name in makers
        }

    pools = {
        name: RealPools(*(seen(name, part) for part in (real.normal, real.base, real.test)))
        for name, real in colour.pools.items()
        if name in deep
    }
    return SeedImages(pools, made(colour.anomalies), made(colour.normals))


def lacks(generator: ResolvedMethod, category: CategoryPlan) -> str:
    """What a generator needs and has not, on this machine or in this category; "" where it has all."""
    if generator.missing_requirement or generator.adapter is None or category.has_depth:
        return generator.missing_requirement
    needs = "depth" in generator.as_generator.needs
    return f"{generator.name} needs depth maps, which {category.name} has not" if needs else ""


def anomalies_of(config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan) -> dict[str, int]:
    """How many images of which defect a generator makes for a category.

    A generator that knows no types makes as many in all as one that does.
    """
    if lacks(generator, category):
        return {}
    if generator.ingested is not None:
        return {name: n for name, n in _held(config, generator, category).items() if name != GOOD}
    yields = yields_of(generator)
    if "anomaly" not in yields:
        return {}
    if "type" not in yields:
        return {ANY: config.generated_per_type * len(category.defects)}
    return dict.fromkeys(category.defects, config.generated_per_type)


def normals_of(config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan) -> dict[str, int]:
    """How many normal images a generator makes for a category; empty where it makes none."""
    if lacks(generator, category):
        return {}
    if generator.ingested is not None:
        return {name: n for name, n in _held(config, generator, category).items() if name == GOOD}
    return {GOOD: config.generated_per_type} if "normal" in yields_of(generator) else {}


def _held(config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan) -> dict[str, int]:
    """How many of its ingested images of each kind take part."""
    assert generator.ingested is not None
    held = generator.ingested.get(category.name, {})
    return {kind: min(params["count"], config.generated_per_type) for kind, params in held.items()}


def yields_of(generator: ResolvedMethod) -> frozenset[str]:
    """What a generator makes; of an ingested one, what its folders say."""
    if generator.ingested is not None:
        held = {defect for defects in generator.ingested.values() for defect in defects}
        kinds = {GOOD: "normal", ANY: "anomaly"}
        return frozenset(kinds.get(defect, "type") for defect in held)
    return generator.as_generator.yields
