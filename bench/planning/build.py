"""The vocabulary of plans: each function makes the tasks of one step, with all that decides their output."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.planning.config import CategoryPlan, Method, Part, PlanConfig
from bench.record import catalogue
from bench.record.labels import CellLabels
from bench.stages import version_of
from bench.tasks import Resources, Task

ANY = "any"
"""The defect of generators that know no types."""
GOOD = "good"

GENERATION_METRICS = catalogue.planned("generation")
DEPTH_METRICS = catalogue.planned("generation-depth")
"""The same of the depth of generated images."""
NORMAL_METRICS = catalogue.planned("generation-normal")
DETECTION_METRICS = catalogue.planned("image", "pixel")
CLASSIFICATION_METRICS = catalogue.planned("classification")


@dataclass(frozen=True)
class RealPools:
    """The three parts of a category, decoded and resized."""

    normal: Task
    base: Task
    test: Task


def make(stage: str, params: Mapping[str, Any], inputs: Iterable[tuple[str, Task]] = (), **more: Any) -> Task:
    return Task(stage, version_of(stage), params, tuple(inputs), **more)


def real_pools(config: PlanConfig, category: CategoryPlan) -> RealPools:
    def cache(part: str, content: Part) -> Task:
        params = {
            "category": category.name,
            "part": part,
            "content": content.digest,
            "counts": dict(content.counts),
            "resolution": config.resolution,
        }
        return make("data.cache", params)

    return RealPools(
        cache("normal", category.normal), cache("base", category.base), cache("test", category.test)
    )


def training_inputs(pools: Mapping[str, RealPools]) -> tuple[tuple[str, Task], ...]:
    """The training side of some categories, as generators see it."""
    return tuple(
        pair
        for name, real in pools.items()
        for pair in ((f"normal/{name}", real.normal), (f"base/{name}", real.base))
    )


def generated_pool(
    config: PlanConfig,
    generator: Method,
    category: CategoryPlan,
    pools: Mapping[str, RealPools],
    defects: Mapping[str, int],
    seed: int,
) -> Task:
    """Fit, sample and cache: the images of one generator for one category; `defects` to how many of each.

    Normal images and anomalies are asked for apart, so that each makes a pool of its own.
    """
    samples: list[tuple[str, Task]] = []
    for defect, count in defects.items():
        if generator.ingested is not None:
            params = generator.ingested[category.name][defect]
            samples.append((f"samples/{defect}", make("generator.ingest", params)))
            continue
        covered = pools if generator.scope == "dataset" else {category.name: pools[category.name]}
        seen = (*training_inputs(covered), *_derived(config, generator, covered))
        model = _generator_fit(config, generator, category, seen, defect, seed)
        for start in range(0, count, config.chunk):
            params = {
                **model.params,
                "params": dict(generator.params),
                "category": category.name,
                "defect": defect,
                "start": start,
                "stop": min(start + config.chunk, count),
            }
            inputs = (("model", model), *seen)
            samples.append(
                (f"samples/{defect}", _method_task("generator.sample", generator, params, inputs, seed))
            )
    params = {"category": category.name, "resolution": config.resolution, "counts": dict(defects)}
    return make("generator.cache", params, samples)


def _generator_fit(
    config: PlanConfig,
    generator: Method,
    category: CategoryPlan,
    seen: Iterable[tuple[str, Task]],
    defect: str,
    seed: int,
) -> Task:
    later = generator.as_generator.sampling_params
    params = {
        "params": {name: value for name, value in generator.params.items() if name not in later},
        "category": "" if generator.scope == "dataset" else category.name,
        "defect": defect if generator.scope == "defect" else "",
        "resolution": config.resolution,
        **_weights(generator),
    }
    return _method_task("generator.fit", generator, params, seen, seed)


def _derived(
    config: PlanConfig, generator: Method, pools: Mapping[str, RealPools]
) -> Iterator[tuple[str, Task]]:
    """What the generator makes of the images of each category before it learns, one for all seeds."""
    deciding = {name: generator.params[name] for name in generator.as_generator.derives}
    for name, real in pools.items() if deciding else ():
        params = {
            "params": deciding,
            "category": name,
            "resolution": config.resolution,
            **_weights(generator),
        }
        inputs = training_inputs({name: real})
        yield f"derived/{name}", _method_task("generator.derive", generator, params, inputs, 0)


def _weights(generator: Method) -> dict[str, str]:
    return {"weights": generator.weights} if generator.weights else {}


def generation_score(
    config: PlanConfig,
    category: CategoryPlan,
    real: RealPools,
    generated: Task,
    labels: CellLabels,
) -> Task:
    """Score the anomalies of one generator on one category."""
    profile = _profile(config, category)
    on_gpu = Resources(gpu=True)
    compared = [("generated", generated), ("base", real.base)]
    asked: dict[str, Any] = dict(profile)
    if config.ic_lpips != ("default",):  # about test images too, which the default rule has no use for
        compared.append(("test", real.test))
        asked["dialects"] = list(config.ic_lpips)
    perceptual = make("features.perceptual", asked, compared, resources=on_gpu)
    nearest = make(
        "generation.nearest",
        profile,
        [("generated", generated), ("base", real.base), ("test", real.test)],
        resources=on_gpu,
    )
    agreement = make(
        "generation.agreement",
        {"category": category.name},
        [("generated", generated), ("normal", real.normal)],
    )
    inputs = [
        ("generated", _features(profile, generated)),
        ("base", _features(profile, real.base)),
        ("perceptual", perceptual),
        ("nearest", nearest),
        ("agreement", agreement),
    ]
    return make("score.generation", {"labels": labels.to_json(), "category": category.name}, inputs)


def normals_score(
    config: PlanConfig, category: CategoryPlan, real: RealPools, generated: Task, labels: CellLabels
) -> Task:
    """Score the normal images of one generator on one category, against train/good."""
    profile = _profile(config, category)
    inputs = [("generated", _features(profile, generated)), ("normal", _features(profile, real.normal))]
    return make("score.normals", {"labels": labels.to_json(), "category": category.name}, inputs)


def _profile(config: PlanConfig, category: CategoryPlan) -> dict[str, str]:
    return {"features": config.features, "weights": config.features_weights, "category": category.name}


def _features(profile: Mapping[str, str], pool: Task) -> Task:
    return make("features", profile, [("pool", pool)], resources=Resources(gpu=True))


def detector_fit(
    config: PlanConfig,
    detector: Method,
    mix: str,
    pools: Mapping[str, RealPools],
    generated: Mapping[str, Task],
    generated_normals: Mapping[str, Task],
    classes: Iterable[tuple[str, str]],
    seed: int,
) -> Task:
    """Train a detector on the categories of `pools`, on normals and what the mix names.

    `generated` and `generated_normals` are category to the images of one generator.
    """
    made = config.mixes[mix]
    inputs = [(f"normal/{name}", real.normal) for name, real in pools.items()]
    if made.generated_normals:
        inputs += [
            (f"generated-normal/{name}", generated_normals[name])
            for name in pools
            if name in generated_normals
        ]
    if "real" in made.shares:
        inputs += [(f"real/{name}", real.base) for name, real in pools.items()]
    if "generated" in made.shares:
        inputs += [(f"generated/{name}", generated[name]) for name in pools if name in generated]
    params = {
        "params": dict(detector.params),
        "category": next(iter(pools)) if detector.scope == "category" else "",
        "classes": [list(pair) for pair in classes],
        "shares": dict(made.shares) if detector.balanced else None,
        "resolution": config.resolution,
        "selection": config.selection,
    }
    if config.selection == "test-oracle":
        inputs += [(f"validation/{name}", real.test) for name, real in pools.items()]
    return _method_task("detector.fit", detector, params, inputs, seed)


def detector_prediction(detector: Method, model: Task, category: str, test: Task, seed: int) -> Task:
    """The test images of a category through a model."""
    params = {**model.params, "category": category}
    return _method_task("detector.predict", detector, params, [("model", model), ("test", test)], seed)


def ingested_prediction(config: PlanConfig, params: Mapping[str, Any]) -> Task:
    """What a detector elsewhere said of the test images of a category."""
    held = make("detector.ingest", params)
    asked = {"category": params["category"], "resolution": config.resolution}
    return make("detector.maps", asked, [("ingested", held)])


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


def duplicates(category: CategoryPlan, real: RealPools) -> Task:
    return make(
        "data.duplicates",
        {"category": category.name},
        [("base", real.base), ("test", real.test), ("normal", real.normal)],
    )


def _method_task(
    stage: str, method: Method, params: Mapping[str, Any], inputs: Iterable[tuple[str, Task]], seed: int
) -> Task:
    return make(stage, params, inputs, adapter=method.id, seed=seed, resources=Resources(gpu=True))
