"""The tasks of generators and detectors that a score rests on, by the inputs of their stages."""

from collections.abc import Iterator

from bench.planning.plan import Plan
from bench.stages.detector import DetectorPredict
from bench.stages.features import PoolFeatures
from bench.stages.generator import GeneratorCache, GeneratorSample
from bench.stages.score_classification import ScoreClassification
from bench.stages.score_detection import DetectorScore, ScoreDetection
from bench.stages.score_generation import GenerationScore, ScoreGeneration, ScoreNormals

GENERATION_SCORES: tuple[type[GenerationScore[str]], ...] = (ScoreGeneration, ScoreNormals)
DETECTOR_SCORES: tuple[type[DetectorScore[str]], ...] = (ScoreDetection, ScoreClassification)


def pool_of(plan: Plan, features: str) -> str:
    """The pool that a task of features looked at."""
    stage = plan.read(features, PoolFeatures[str])
    assert stage is not None, features
    return stage.pool


def samples_of(plan: Plan, pool: str) -> Iterator[str]:
    """The tasks whose samples make up a pool; none for real images and for depth."""
    cache = plan.read(pool, GeneratorCache[str])
    for chunks in cache.samples.values() if cache else ():
        yield from chunks


def generator_tasks(plan: Plan, score: GenerationScore[str]) -> Iterator[str]:
    """The fits, derivations and samples of a score of generated images."""
    for task in samples_of(plan, pool_of(plan, score.generated)):
        sample = plan.read(task, GeneratorSample[str])
        if sample is not None:
            yield from (task, sample.model, *sample.derived.values())


def detector_tasks(plan: Plan, score: DetectorScore[str]) -> Iterator[str]:
    """The fit and the prediction of a score of a detector; none for what was ingested or fused."""
    prediction = plan.read(score.prediction, DetectorPredict[str])
    if prediction is not None:
        yield from (prediction.model, score.prediction)
