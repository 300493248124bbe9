"""The cells that protocols are made of: what a row trains on, who is scored on what, and what cannot be.

A protocol module chooses rows and detectors; everything that two protocols would say alike stands here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.adapters import Generator
from bench.planning import build
from bench.planning.build import ANY, GOOD, RealPools
from bench.planning.config import CategoryPlan, Method, PlanConfig, Skipped, SplitPlan
from bench.planning.methods import task_of
from bench.records import UNKNOWN
from bench.tasks import Task


@dataclass(frozen=True)
class Row:
    """One kind of training set: the real third, a generator's images, or both."""

    mix: str
    generator: Method | None = None


@dataclass(frozen=True)
class Ground:
    """What all cells of one seed stand on: the split, its images, and what the generators made of them."""

    config: PlanConfig
    seed: int
    split: SplitPlan
    pools: Mapping[str, RealPools]
    generated: Mapping[str, Mapping[str, Task]]
    """Generator to category to its images, where it makes any."""


def prepare(config: PlanConfig, seed: int) -> Ground:
    """The images of one seed, real and generated."""
    split = config.splits[seed]
    pools = {category.name: build.real_pools(config, category) for category in split.categories}
    generated = {
        generator.name: {
            category.name: build.generated_pool(
                config, generator, category, pools, defects_of(config, generator, category), seed
            )
            for category in split.categories
            if defects_of(config, generator, category)
        }
        for generator in config.generators
    }
    return Ground(config, seed, split, pools, generated)


def duplicates(ground: Ground) -> Iterator[Task]:
    """Near-duplicates across the split, for the page's notes on the data."""
    for category in ground.split.categories:
        yield build.duplicates(category, ground.pools[category.name])


def defects_of(config: PlanConfig, generator: Method, category: CategoryPlan) -> dict[str, int]:
    """How many images of which defect a generator makes for a category.

    A generator that knows no types makes as many in all as one that does.
    """
    if generator.ingested is not None:
        held = {
            defect: params["count"] for defect, params in generator.ingested.get(category.name, {}).items()
        }
        return {defect: min(count, config.generated_per_type) for defect, count in held.items()}
    yields = _yields(generator)
    made = dict.fromkeys(category.defects, config.generated_per_type)
    if "type" not in yields:
        made = {ANY: config.generated_per_type * len(category.defects)}
    if "normal" in yields:
        made[GOOD] = config.generated_per_type
    return made


def generation(ground: Ground, generator: Method) -> Iterator[Task | Skipped]:
    """IS, KID, IC-LPIPS, copies and mask agreement of one generator on every category."""
    config = ground.config
    for category in ground.split.categories:
        labels = {**_labels(ground, category.name), **_generator_labels(config, generator)}
        defects = defects_of(config, generator, category)
        if not defects:
            yield Skipped(labels, build.GENERATION_METRICS, _nothing_made(generator, category))
            continue
        real, made = ground.pools[category.name], ground.generated[generator.name][category.name]
        yield build.generation_score(config, category, real, made, labels, normals=GOOD in defects)
        if ANY in defects:
            yield Skipped(
                labels,
                (("generation", "is"), ("generation", "ic_lpips"), ("generation", "ic_lpips_a")),
                f"{generator.name} knows no defect types; this metric is taken a type",
            )
        if GOOD not in defects:
            yield Skipped(labels, build.NORMAL_METRICS, f"{generator.name} makes no normal images")


def supervised_rows(config: PlanConfig, detector: Method) -> Iterator[Row]:
    """Real defects alone, then each generator's images, alone and beside them."""
    if detector.ingested is not None:
        yield Row(UNKNOWN)
        return
    yield Row("real")
    for generator in config.generators:
        yield Row("generated", generator)
        yield Row("generated+real", generator)


def detection(ground: Ground, detector: Method, row: Row) -> Iterator[Task | Skipped]:
    """Train one detector on one kind of row and test it on every category."""
    config, seed = ground.config, ground.seed
    generated = ground.generated[row.generator.name] if row.generator else {}
    models: dict[str, Task] = {}
    for category in ground.split.categories:
        labels = {
            **_labels(ground, category.name),
            **(_generator_labels(config, row.generator) if row.generator else {}),
            **_detector_labels(config, detector),
            "mix": row.mix,
        }
        names_defects = _names_defects(detector, category)
        reason = _cannot(config, detector, row, category, names_defects)
        if reason:
            metrics = build.CLASSIFICATION_METRICS if names_defects else build.DETECTION_METRICS
            yield Skipped(labels, metrics, reason)
            continue
        covered = ground.split.categories if detector.scope == "dataset" else (category,)
        classes = [(c.name, defect) for c in covered for defect in c.defects]
        test = ground.pools[category.name].test
        if detector.ingested is not None:
            prediction = build.ingested_prediction(config, detector.ingested[category.name])
        else:
            scope = "" if detector.scope == "dataset" else category.name
            if scope not in models:
                part = {c.name: ground.pools[c.name] for c in covered}
                models[scope] = build.detector_fit(config, detector, row.mix, part, generated, classes, seed)
            prediction = build.detector_prediction(detector, models[scope], category.name, test, seed)
        if names_defects:
            yield build.classification_score(config, labels, prediction, test, classes)
        else:
            yield build.detection_score(config, labels, prediction, test)
            yield build.dialect_score(config, labels, prediction, test)


def _names_defects(detector: Method, category: CategoryPlan) -> bool:
    """Whether the detector classifies defects rather than finds them."""
    if detector.ingested is not None:
        return detector.ingested.get(category.name, {}).get("gives") == ["predicted"]
    return task_of(detector) == "classification"


def _cannot(
    config: PlanConfig, detector: Method, row: Row, category: CategoryPlan, names_defects: bool
) -> str:
    """Why this cell cannot be; empty where it can."""
    if detector.ingested is not None:
        held = detector.ingested.get(category.name)
        if held is None:
            return f"nothing was ingested for {category.name}"
        if held["test"] != category.test.digest:
            return f"{detector.name} was ingested for another test set of {category.name}"
    if row.generator and not defects_of(config, row.generator, category):
        return _nothing_made(row.generator, category)
    if not names_defects:
        return ""
    if not category.has_types:
        return f"{category.name} has no defect types to tell apart"
    if len(category.defects) < 2:
        return f"{category.name} has one defect type; there is nothing to tell apart"
    if row.generator and "type" not in _yields(row.generator):
        return f"{row.generator.name} knows no defect types, so its images have no label to learn"
    return ""


def _nothing_made(generator: Method, category: CategoryPlan) -> str:
    return f"{generator.name} was ingested without images of {category.name}"


def _labels(ground: Ground, category: str) -> dict[str, Any]:
    config, split = ground.config, ground.split
    return {
        "protocol": config.protocol,
        "protocol_version": config.version,
        "scale": config.scale,
        "preset": config.preset,
        "dataset": config.dataset,
        "dataset_fingerprint": config.fingerprint,
        "category": category,
        "split": split.name,
        "shots": split.shots,
        "resolution": config.resolution,
        "seed": ground.seed,
    }


def _generator_labels(config: PlanConfig, generator: Method) -> dict[str, Any]:
    return {
        "generator": generator.name,
        "generator_version": generator.version,
        "generator_variant": generator.variant,
        "generator_params": generator.params_digest,
        "generated_per_type": config.generated_per_type,
    }


def _detector_labels(config: PlanConfig, detector: Method) -> dict[str, Any]:
    return {
        "scope": detector.scope if detector.ingested is None else UNKNOWN,
        "detector": detector.name,
        "detector_version": detector.version,
        "detector_variant": detector.variant,
        "detector_params": detector.params_digest,
        "selection": config.selection if detector.ingested is None else UNKNOWN,
    }


def _yields(generator: Method) -> frozenset[str]:
    """What a generator makes; of an ingested one, what its folders say."""
    if generator.ingested is not None:
        held = {defect for defects in generator.ingested.values() for defect in defects}
        kinds = {GOOD: "normal", ANY: "anomaly"}
        return frozenset(kinds.get(defect, "type") for defect in held)
    assert generator.adapter is not None and issubclass(generator.adapter, Generator)
    return generator.adapter.yields
