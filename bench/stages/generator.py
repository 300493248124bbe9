"""Stages of generators: derive maps of images, fit on the training side, sample in chunks, cache samples."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from bench.data.pool import Pool, open_pool
from bench.data.view import Size, View
from bench.methods import Anomalies, CategoryTrain, Generator, Images, Request, TrainSplit, registry
from bench.methods.samples import samples_to_pool, write_samples
from bench.planning.config import CategoryPlan, PlanConfig, ResolvedMethod
from bench.stages.data import RealPools
from bench.stages.ingest import GeneratorIngest
from bench.stages.stage import BY_NAME, SEVERAL_BY_NAME, Output, Stage, StageRun, T
from bench.tasks import Task

ANY = "any"
"""The defect of generators that know no types."""
GOOD = "good"
"""The defect of normal images."""


@dataclass(frozen=True)
class GeneratorDerive(Stage[T]):
    """What a generator needs of the images of one category beside them, for all its fits."""

    name, version = "generator.derive", 1
    gpu = True
    payload = "caches"
    normal: Mapping[str, T] = field(metadata=BY_NAME)
    base: Mapping[str, T] = field(metadata=BY_NAME)

    def inputs(self) -> Iterator[tuple[str, T]]:
        return _training_inputs(self.normal, self.base)

    @staticmethod
    def task(config: PlanConfig, generator: ResolvedMethod, category: str, real: RealPools) -> Task:
        """One for all seeds."""
        params = {
            "params": {name: generator.params[name] for name in generator.as_generator.derives},
            "category": category,
            "resolution": config.view(generator, category).side,
            **_weights(generator),
        }
        stage = GeneratorDerive(normal={category: real.normal}, base={category: real.base})
        return stage.to_task(params, generator.id)

    def run(self: "GeneratorDerive[Output]", run: StageRun) -> None:
        (category,) = _train_split(run, self.normal, self.base, {}).categories.values()
        _adapter(run).derive(category, run.out, run.context)


@dataclass(frozen=True)
class GeneratorFit(Stage[T]):
    """A model of the categories, and for the scope "defect" of the one type, of a task."""

    name, version = "generator.fit", 1
    gpu = True
    payload = "models"
    normal: Mapping[str, T] = field(metadata=BY_NAME)
    base: Mapping[str, T] = field(metadata=BY_NAME)
    derived: Mapping[str, T] = field(metadata=BY_NAME)
    """What `GeneratorDerive` made of each category, for generators that derive anything."""

    def inputs(self) -> Iterator[tuple[str, T]]:
        return chain(_training_inputs(self.normal, self.base), _derived_inputs(self.derived))

    @staticmethod
    def task(
        config: PlanConfig,
        generator: ResolvedMethod,
        category: str,
        defect: str,
        pools: Mapping[str, RealPools],
        seed: int,
    ) -> Task:
        """The fit that makes the images of a category and defect; `pools` are those of its scope."""
        later = generator.as_generator.sampling_params
        params = {
            "params": {name: value for name, value in generator.params.items() if name not in later},
            "category": "" if generator.scope == "dataset" else category,
            "defect": defect if generator.scope == "defect" else "",
            "resolution": config.side(generator, pools),
            **_weights(generator),
        }
        derives = bool(generator.as_generator.derives)
        stage = GeneratorFit(
            normal={name: real.normal for name, real in pools.items()},
            base={name: real.base for name, real in pools.items()},
            derived={
                name: GeneratorDerive.task(config, generator, name, real)
                for name, real in pools.items()
                if derives
            },
        )
        return stage.to_task(params, generator.id, seed)

    def run(self: "GeneratorFit[Output]", run: StageRun) -> None:
        split = _train_split(run, self.normal, self.base, self.derived, run.params["defect"])
        _adapter(run).fit(split, run.out, run.context)


@dataclass(frozen=True)
class GeneratorSample(Stage[T]):
    """The samples start..stop of one defect type, in samples.zip."""

    name, version = "generator.sample", 1
    gpu = True
    payload = "samples"
    model: T
    normal: Mapping[str, T] = field(metadata=BY_NAME)
    base: Mapping[str, T] = field(metadata=BY_NAME)
    derived: Mapping[str, T] = field(metadata=BY_NAME)

    def inputs(self) -> Iterator[tuple[str, T]]:
        training = _training_inputs(self.normal, self.base)
        return chain([("model", self.model)], training, _derived_inputs(self.derived))

    @staticmethod
    def task(
        generator: ResolvedMethod, category: str, defect: str, model: Task, start: int, stop: int
    ) -> Task:
        params = {
            **model.params,
            "params": dict(generator.params),
            "category": category,
            "defect": defect,
            "start": start,
            "stop": stop,
        }
        training = GeneratorFit.of(model.inputs)
        stage = GeneratorSample(model, training.normal, training.base, training.derived)
        return stage.to_task(params, generator.id, model.seed)

    def run(self: "GeneratorSample[Output]", run: StageRun) -> None:
        params = run.params
        request = Request(params["category"], params["defect"], range(params["start"], params["stop"]))
        generator = _adapter(run)
        split = _train_split(run, self.normal, self.base, self.derived)
        samples = generator.sample(self.model.folder, split, request, run.context)
        write_samples(
            run.out / "samples.zip",
            request,
            samples,
            run.context.progress,
            generator=generator.name,
            resolution=params["resolution"],
            may_be_empty=generator.may_be_empty,
        )


@dataclass(frozen=True)
class GeneratorCache(Stage[T]):
    """The samples of one category, the first `counts` of each defect, decoded into one pool."""

    name, version = "generator.cache", 1
    payload = "caches"
    samples: Mapping[str, tuple[T, ...]] = field(metadata=SEVERAL_BY_NAME)
    """By defect, in chunks."""
    normal: T | None = None
    """Normal images, whose proportions samples made of stretched images get back before they are cut."""

    @staticmethod
    def task(
        config: PlanConfig,
        generator: ResolvedMethod,
        category: CategoryPlan,
        pools: Mapping[str, RealPools],
        counts: Mapping[str, int],
        seed: int,
    ) -> Task:
        """Fit, sample and cache: the images of one generator for one category, `counts` of each defect.

        Normal images and anomalies are asked for separately, so that each makes a pool of its own.
        """
        if generator.ingested is not None:
            ingested = generator.ingested[category.name]
            return GeneratorCache.of_ingested(config, category.name, ingested, counts)
        covered = pools if generator.scope == "dataset" else {category.name: pools[category.name]}
        samples: dict[str, tuple[Task, ...]] = {}
        for defect, count in counts.items():
            model = GeneratorFit.task(config, generator, category.name, defect, covered, seed)
            samples[defect] = tuple(
                GeneratorSample.task(
                    generator, category.name, defect, model, start, min(start + config.chunk, count)
                )
                for start in range(0, count, config.chunk)
            )
        return GeneratorCache(samples).to_task(_cache_params(config, category.name, counts))

    @staticmethod
    def of_ingested(
        config: PlanConfig, category: str, ingested: Mapping[str, Any], counts: Mapping[str, int]
    ) -> Task:
        """The same of images that were ingested: `ingested` is what `bench ingest` registered, by defect."""
        samples = {defect: (GeneratorIngest.task(ingested[defect]),) for defect in counts}
        return GeneratorCache(samples).to_task(_cache_params(config, category, counts))

    @staticmethod
    def under(view: View, cached: Task, normal: Task | None) -> Task:
        """The samples of a task of this stage under another view; for `normal` see the field."""
        samples = GeneratorCache.of(cached.inputs).samples
        return GeneratorCache(samples, normal).to_task({**cached.params, **view.params})

    def run(self: "GeneratorCache[Output]", run: StageRun) -> None:
        sets = [
            (defect, chunk.folder / "samples.zip")
            for defect, chunks in self.samples.items()
            for chunk in chunks
        ]
        stretched_from = None if self.normal is None else _usual_size(open_pool(self.normal.folder))
        samples_to_pool(sets, run.out, View.of(run.params), run.params["counts"], stretched_from)


def _training_inputs(normal: Mapping[str, T], base: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """The training side as it stands in keys: the normal and the base images of a category together."""
    for category in normal:
        yield f"normal/{category}", normal[category]
        yield f"base/{category}", base[category]


def _derived_inputs(derived: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    return ((f"derived/{category}", maps) for category, maps in derived.items())


def _usual_size(pool: Pool) -> Size | None:
    """Height and width of most files of a pool; None where it is empty."""
    sizes = Counter((item["size"][1], item["size"][0]) for item in pool.items)
    return sizes.most_common(1)[0][0] if sizes else None


def _weights(generator: ResolvedMethod) -> dict[str, str]:
    return {"weights": generator.weights} if generator.weights else {}


def _cache_params(config: PlanConfig, category: str, counts: Mapping[str, int]) -> dict[str, Any]:
    return {"category": category, "resolution": config.resolution, "counts": dict(counts)}


def _adapter(run: StageRun) -> Generator:
    adapter = registry.load("generator", run.adapter)
    return adapter(adapter.Params(**run.params["params"]))


def _train_split(
    run: StageRun,
    normal: Mapping[str, Output],
    base: Mapping[str, Output],
    derived: Mapping[str, Output],
    only: str = "",
) -> TrainSplit:
    """What a generator may see of its categories; of one defect type if `only` names it."""
    categories = {}
    for name, pool in normal.items():
        real = open_pool(base[name].folder)
        defects = [defect for defect in dict.fromkeys(real.defects) if not only or defect == only]
        anomalies = {defect: Anomalies(real, real.rows(defect)) for defect in defects}
        maps = derived[name].folder if name in derived else None
        categories[name] = CategoryTrain(name, Images(open_pool(pool.folder)), anomalies, maps)
    return TrainSplit(categories, run.params["resolution"])
