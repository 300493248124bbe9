"""The vocabulary of plans: each function makes the tasks of one step, with all that decides their output."""

from collections.abc import Iterable, Mapping
from typing import Any

from bench.planning.config import CategoryPlan, PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.stages import version_of
from bench.stages.data import RealPools
from bench.stages.features import PerceptualFeatures, PoolFeatures, feature_params
from bench.tasks import Resources, Task

GENERATION_METRICS = catalogue.planned("generation")
DEPTH_METRICS = catalogue.planned("generation-depth")
"""The same of the depth of generated images."""
NORMAL_METRICS = catalogue.planned("generation-normal")
DETECTION_METRICS = catalogue.planned("image", "pixel")
CLASSIFICATION_METRICS = catalogue.planned("classification")


def make(stage: str, params: Mapping[str, Any], inputs: Iterable[tuple[str, Task]] = (), **more: Any) -> Task:
    return Task(stage, version_of(stage), params, tuple(inputs), **more)


def generation_score(
    config: PlanConfig,
    category: CategoryPlan,
    real: RealPools,
    generated: Task,
    labels: CellLabels,
) -> Task:
    """Score the anomalies of one generator on one category."""
    on_gpu = Resources(gpu=True)
    nearest = make(
        "generation.nearest",
        feature_params(config, category),
        [("generated", generated), ("base", real.base), ("test", real.test)],
        resources=on_gpu,
    )
    agreement = make(
        "generation.agreement",
        {"category": category.name},
        [("generated", generated), ("normal", real.normal)],
    )
    inputs = [
        ("generated", PoolFeatures.task(config, category, generated)),
        ("base", PoolFeatures.task(config, category, real.base)),
        ("perceptual", PerceptualFeatures.task(config, category, real, generated)),
        ("nearest", nearest),
        ("agreement", agreement),
    ]
    return make("score.generation", {"labels": labels.to_json(), "category": category.name}, inputs)


def normals_score(
    config: PlanConfig, category: CategoryPlan, real: RealPools, generated: Task, labels: CellLabels
) -> Task:
    """Score the normal images of one generator on one category, against train/good."""
    inputs = [
        ("generated", PoolFeatures.task(config, category, generated)),
        ("normal", PoolFeatures.task(config, category, real.normal)),
    ]
    return make("score.normals", {"labels": labels.to_json(), "category": category.name}, inputs)


def detection_score(config: PlanConfig, labels: CellLabels, prediction: Task, test: Task) -> Task:
    params = {"labels": labels.to_json(), "category": labels.category, "replicates": config.replicates}
    return make("score.detection", params, [("prediction", prediction), ("test", test)])


def dialect_score(config: PlanConfig, labels: CellLabels, prediction: Task, test: Task) -> Task:
    """The same predictions under the dialects of repositories, and their curves."""
    part = {name: test.params[name] for name in ("category", "part", "content", "resolution")}
    return make(
        "score.dialects",
        {"labels": labels.to_json(), "category": labels.category},
        [("prediction", prediction), ("test", test), ("truth", make("data.truth", part))],
    )


def classification_score(
    config: PlanConfig,
    labels: CellLabels,
    prediction: Task,
    test: Task,
    classes: Iterable[tuple[str, str]],
) -> Task:
    params = {
        "labels": labels.to_json(),
        "category": labels.category,
        "replicates": config.replicates,
        "classes": [list(pair) for pair in classes],
    }
    return make("score.classification", params, [("prediction", prediction), ("test", test)])
