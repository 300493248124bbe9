"""What all cells of one seed share: the split, its real images, and the images of every generator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from bench.data.view import View
from bench.planning.config import CategoryPlan, PlanConfig, ResolvedMethod, SplitPlan
from bench.stages.data import RealPools, real_pools
from bench.stages.depth import DepthImages
from bench.stages.generator import ANY, GOOD, GeneratorCache
from bench.tasks import Task


@dataclass(frozen=True)
class RowPlan:
    """One row of the leaderboard: a mix of the protocol, with the images of a generator or of none."""

    mix: str
    generator: ResolvedMethod | None = None


@dataclass(frozen=True)
class SeedImages:
    """What detectors are trained and tested on: real images, and those of the generators."""

    pools: Mapping[str, RealPools]
    """By category."""
    anomalies: Mapping[str, Mapping[str, Task]]
    """By generator and category, where it makes any; so are the normals."""
    normals: Mapping[str, Mapping[str, Task]]


@dataclass(frozen=True)
class SeedData:
    """The split of one seed, its images, and the same images by their depth."""

    config: PlanConfig
    seed: int
    split: SplitPlan
    colour: SeedImages
    depth: SeedImages
    """Of the categories that have depth, and the generators that make it."""
    _by_view: dict[tuple[View, ...], tuple[SeedImages, SeedImages]] = field(default_factory=dict, init=False)

    def seen_by(self, detector: ResolvedMethod) -> tuple[SeedImages, SeedImages]:
        """Colour and depth at the side and fit that a detector asks for, or as they are scored.

        Detectors that ask alike share the images.
        """
        views = {
            category.name: self.config.view(detector, category.name) for category in self.split.categories
        }
        if set(views.values()) == {self.config.frame}:
            return self.colour, self.depth
        key = tuple(views.values())
        if key not in self._by_view:
            colour = _under(views, self)
            self._by_view[key] = colour, _by_depth(self.config, self.split, colour, self.colour.pools)
        return self._by_view[key]


def seed_data(config: PlanConfig, seed: int) -> SeedData:
    """The images of one seed, real and generated."""
    split = config.splits[seed]
    categories = {category.name: category for category in split.categories}

    @cache
    def real(category: str, view: View) -> RealPools:
        return real_pools(config, categories[category], view)

    pools = {name: real(name, config.frame) for name in categories}
    pools_of = {
        generator.title: {name: real(name, config.view(generator, name)) for name in categories}
        for generator in config.generators
    }

    def generated(
        counts_of: Callable[[PlanConfig, ResolvedMethod, CategoryPlan], Mapping[str, int]],
    ) -> dict[str, dict[str, Task]]:
        return {
            generator.title: {
                category.name: GeneratorCache.task(
                    config, generator, category, pools_of[generator.title], counts, seed
                )
                for category in split.categories
                if (counts := counts_of(config, generator, category))
            }
            for generator in config.generators
        }

    colour = SeedImages(pools, generated(anomalies_of), generated(normals_of))
    return SeedData(config, seed, split, colour, _by_depth(config, split, colour, pools))


def _under(views: Mapping[str, View], data: SeedData) -> SeedImages:
    """The colour images of a seed under the view of each category."""
    config, colour = data.config, data.colour

    def generated(by_generator: Mapping[str, Mapping[str, Task]]) -> dict[str, dict[str, Task]]:
        return {
            generator.title: {
                name: GeneratorCache.under(views[name], cached, stretched(generator, name))
                for name, cached in by_generator[generator.title].items()
            }
            for generator in config.generators
        }

    def stretched(generator: ResolvedMethod, category: str) -> Task | None:
        """Where proportions are to be restored: the normal images that have them."""
        is_stretched = generator.ingested is None and config.view(generator, category).fit == "stretch"
        return colour.pools[category].normal if is_stretched and views[category].fit == "crop" else None

    pools = {
        category.name: real_pools(config, category, views[category.name])
        for category in data.split.categories
    }
    return SeedImages(pools, generated(colour.anomalies), generated(colour.normals))


def _by_depth(
    config: PlanConfig, split: SplitPlan, colour: SeedImages, scored: Mapping[str, RealPools]
) -> SeedImages:
    """The same images, each by the grey image of its depth; near and far are those of `scored`."""
    with_depth = [category.name for category in split.categories if category.has_depth]
    makers = {generator.title for generator in config.generators if "depth" in yields_of(generator)}

    def depth_of(category: str, pool: Task) -> Task:
        return DepthImages.task(category, pool, scored[category].normal)

    def generated(by_generator: Mapping[str, Mapping[str, Task]]) -> dict[str, dict[str, Task]]:
        return {
            name: {
                category: depth_of(category, pool)
                for category, pool in by_category.items()
                if category in with_depth
            }
            for name, by_category in by_generator.items()
            if name in makers
        }

    pools = {
        name: RealPools(*(depth_of(name, part) for part in (real.normal, real.base, real.test)))
        for name, real in colour.pools.items()
        if name in with_depth
    }
    return SeedImages(pools, generated(colour.anomalies), generated(colour.normals))


def missing_requirement(generator: ResolvedMethod, category: CategoryPlan) -> str:
    """What a generator needs and lacks, on this machine or in this category; "" where it lacks nothing."""
    if generator.missing_requirement or generator.adapter is None:
        return generator.missing_requirement
    needs = generator.as_generator.needs
    if "depth" in needs and not category.has_depth:
        return f"{generator.name} needs depth maps, which {category.name} has not"
    if "masks" in needs and not category.has_masks:
        return f"{generator.name} needs masks, which {category.name} has not"
    return ""


def anomalies_of(config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan) -> dict[str, int]:
    """How many images of which defect a generator makes for a category.

    A generator that knows no types makes as many in all as one that does.
    """
    if missing_requirement(generator, category):
        return {}
    if generator.ingested is not None:
        return {name: n for name, n in _ingested_counts(config, generator, category).items() if name != GOOD}
    yields = yields_of(generator)
    if "anomaly" not in yields:
        return {}
    if "type" not in yields:
        return {ANY: config.generated_per_type * len(category.defects)}
    return dict.fromkeys(category.defects, config.generated_per_type)


def normals_of(config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan) -> dict[str, int]:
    """How many normal images a generator makes for a category; empty where it makes none."""
    if missing_requirement(generator, category):
        return {}
    if generator.ingested is not None:
        return {name: n for name, n in _ingested_counts(config, generator, category).items() if name == GOOD}
    return {GOOD: config.generated_per_type} if "normal" in yields_of(generator) else {}


def _ingested_counts(config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan) -> dict[str, int]:
    """How many of its ingested images of each kind take part."""
    assert generator.ingested is not None
    folders = generator.ingested.get(category.name, {})
    return {kind: min(params["count"], config.generated_per_type) for kind, params in folders.items()}


def yields_of(generator: ResolvedMethod) -> frozenset[str]:
    """What a generator makes; of an ingested one, what its folders say."""
    if generator.ingested is not None:
        defects = {defect for folders in generator.ingested.values() for defect in folders}
        kinds = {GOOD: "normal", ANY: "anomaly"}
        return frozenset(kinds.get(defect, "type") for defect in defects)
    return generator.as_generator.yields
