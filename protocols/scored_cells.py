"""The cells of a leaderboard: what is trained, on what it is scored, and why a cell is skipped.

`protocols.plan` asks for them in the order of the leaderboard.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.planning.config import CategoryPlan, PlanConfig, ResolvedMethod, Skipped
from bench.planning.methods import task_of
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.stages.data import DataDuplicates
from bench.stages.depth import DetectorFuse
from bench.stages.detector import DetectorFit, DetectorPredict
from bench.stages.generator import ANY
from bench.stages.ingest import DetectorMaps
from bench.stages.score_classification import ScoreClassification
from bench.stages.score_detection import ScoreDetection
from bench.stages.score_generation import ScoreGeneration, ScoreNormals
from bench.tasks import Task
from protocols.seed_data import RowPlan, SeedData, anomalies_of
from protocols.why_skipped import no_normals, reason_not_scorable, reason_not_trainable


def duplicates(data: SeedData) -> Iterator[Task]:
    """Near-duplicates across the split, for the page's notes on the data."""
    for category in data.split.categories:
        yield DataDuplicates.task(category, data.colour.pools[category.name])


def generated_anomalies(data: SeedData, generator: ResolvedMethod) -> Iterator[Task | Skipped]:
    """IS, KID, IC-LPIPS, copies and mask agreement of one generator on every category.

    Where detectors are to see depth, the same of its depth images.
    """
    yield from _generated_anomalies(data, generator, "rgb")
    if data.config.modalities != ("rgb",):
        yield from _generated_anomalies(data, generator, "depth")


def _generated_anomalies(
    data: SeedData, generator: ResolvedMethod, modality: str
) -> Iterator[Task | Skipped]:
    config, images = data.config, data.depth if modality == "depth" else data.colour
    for category in data.split.categories:
        labels = _labels(data, category, generator, modality=modality)
        metrics = ScoreGeneration.metrics(labels)
        reason = reason_not_scorable(config, generator, category, modality)
        if reason:
            yield Skipped(labels, metrics, reason)
            continue
        anomalies = images.anomalies[generator.title][category.name]
        yield ScoreGeneration.task(config, category, images.pools[category.name], anomalies, labels)
        if ANY in anomalies_of(config, generator, category):
            yield Skipped(
                labels,
                tuple((level, name) for level, name in metrics if catalogue.metrics()[name].by_type),
                f"{generator.name} knows no defect types; this metric is taken a type",
            )


def generated_normals(data: SeedData, generator: ResolvedMethod) -> Iterator[Task | Skipped]:
    """KID of the normal images of one generator on every category."""
    config = data.config
    for category in data.split.categories:
        labels = _labels(data, category, generator)
        normals = data.colour.normals[generator.title].get(category.name)
        if normals is None:
            yield Skipped(labels, ScoreNormals.metrics(labels), no_normals(generator, category))
            continue
        yield ScoreNormals.task(config, category, data.colour.pools[category.name], normals, labels)


def rows(config: PlanConfig, detector: ResolvedMethod) -> Iterator[RowPlan]:
    """The mixes without a generator, then those of each generator; one row for what was trained elsewhere."""
    if detector.ingested is not None:
        yield RowPlan(detector.trained.mix)
        return
    for mix in config.rows_alone:
        yield RowPlan(mix)
    for generator in config.generators:
        for mix in config.rows_generated:
            yield RowPlan(mix, generator)


def detection(data: SeedData, detector: ResolvedMethod, row: RowPlan) -> Iterator[Task | Skipped]:
    """Train one detector on one kind of row and test it on every category, in each modality."""
    for modality in _modalities(data.config, detector):
        yield from _detection(data, detector, row, modality)


def _detection(
    data: SeedData, detector: ResolvedMethod, row: RowPlan, modality: str
) -> Iterator[Task | Skipped]:
    config = data.config
    models: dict[tuple[str, str], Task] = {}
    for category in data.split.categories:
        labels = _labels(data, category, row.generator, detector, row.mix, modality)
        names_defects = _names_defects(detector, category)
        covered = _covered(data, detector, category, modality)
        reason = reason_not_trainable(config, detector, row, category, names_defects, modality, covered)
        if reason:
            score = ScoreClassification if names_defects else ScoreDetection
            yield Skipped(labels, score.metrics(labels), reason)
            continue
        if detector.ingested is not None:
            prediction = DetectorMaps.task(config, detector.ingested[category.name])
        elif modality == "rgb+depth":
            prediction = DetectorFuse.task(
                *(
                    _prediction(data, detector, row, category, modality, models)
                    for modality in ("rgb", "depth")
                )
            )
        else:
            prediction = _prediction(data, detector, row, category, modality, models)
        test = data.colour.pools[category.name].test
        if names_defects:
            classes = _classes(covered)
            yield ScoreClassification.task(config, labels, prediction, test, classes)
        else:
            yield ScoreDetection.task(config, labels, prediction, test)


def _prediction(
    data: SeedData,
    detector: ResolvedMethod,
    row: RowPlan,
    category: CategoryPlan,
    modality: str,
    models: dict[tuple[str, str], Task],
) -> Task:
    """The predictions of a detector, trained on colour images or on depth; `models` collects its fits."""
    config, seed = data.config, data.seed
    colour, depth = data.seen_by(detector)
    images = depth if modality == "depth" and not _reads_depth(detector) else colour
    generator = row.generator.title if row.generator else ""
    scope = (modality, "" if detector.scope == "dataset" else category.name)
    if scope not in models:
        covered = _covered(data, detector, category, modality)
        models[scope] = DetectorFit.task(
            config,
            detector,
            row.mix,
            {other.name: images.pools[other.name] for other in covered},
            images.anomalies.get(generator, {}),
            images.normals.get(generator, {}),
            _classes(covered),
            seed,
        )
    test = images.pools[category.name].test
    return DetectorPredict.task(config, detector, models[scope], category.name, test, seed)


def _covered(
    data: SeedData, detector: ResolvedMethod, category: CategoryPlan, modality: str
) -> tuple[CategoryPlan, ...]:
    """The categories of the one model that a category is tested with."""
    if detector.scope != "dataset":
        return (category,)
    return tuple(other for other in data.split.categories if modality == "rgb" or other.has_depth)


def _classes(covered: Sequence[CategoryPlan]) -> list[tuple[str, str]]:
    return [(category.name, defect) for category in covered for defect in category.defects]


def _modalities(config: PlanConfig, detector: ResolvedMethod) -> tuple[str, ...]:
    """What a detector is trained on and tested with; one that reads depth maps itself has no choice."""
    if detector.ingested is not None:
        return ("rgb",)
    return ("depth",) if _reads_depth(detector) else config.modalities


def _reads_depth(detector: ResolvedMethod) -> bool:
    return detector.as_detector.modality == "depth"


def _names_defects(detector: ResolvedMethod, category: CategoryPlan) -> bool:
    """Whether the detector classifies defects rather than finds them."""
    if detector.ingested is not None:
        return detector.ingested.get(category.name, {}).get("gives") == ["predicted"]
    return task_of(detector) == "classification"


def _labels(
    data: SeedData,
    category: CategoryPlan,
    generator: ResolvedMethod | None,
    detector: ResolvedMethod | None = None,
    mix: str = "",
    modality: str = "rgb",
) -> CellLabels:
    config, split = data.config, data.split
    of_methods: dict[str, Any] = {}
    if generator is not None:
        of_methods |= {
            "generator": generator.name,
            "generator_version": generator.version,
            "generator_variant": generator.variant,
            "generator_params": generator.params_digest,
            "generated_per_type": config.generated_per_type,
        }
    if detector is not None:
        of_methods |= {
            "scope": detector.scope,
            "detector": detector.name,
            "detector_version": detector.version,
            "detector_variant": detector.variant,
            "detector_params": detector.params_digest,
            "selection": config.selection,
        }
        if detector.ingested is not None:
            of_methods |= detector.trained.labels
    return CellLabels(
        protocol=config.protocol,
        protocol_version=config.version,
        scale=config.scale,
        preset=config.preset,
        dataset=config.dataset,
        dataset_fingerprint=config.fingerprint,
        category=category.name,
        split=split.name,
        shots=split.shots,
        resolution=config.resolution,
        modality=modality,
        seed=data.seed,
        **{"mix": mix, **of_methods},
    )
