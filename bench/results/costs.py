"""What it cost to fit the methods of a plan, to sample and to predict."""

import functools
from collections.abc import Iterator
from dataclasses import replace

from bench.planning.plan import Plan
from bench.record.labels import CellLabels
from bench.record.record import Record
from bench.results.method_tasks import DETECTOR_SCORES, GENERATION_SCORES, detector_tasks, generator_tasks
from bench.stages.detector import DetectorPredict
from bench.stages.generator import GeneratorSample
from bench.stages.score_detection import DetectorScore
from bench.stages.score_generation import GenerationScore
from bench.stages.stage import Stage
from bench.store import Store


def costs(plan: Plan, store: Store) -> Iterator[Record]:
    """Seconds and memory of the tasks of methods, from their manifests; once per task."""
    recorded: set[str] = set()
    images_of = functools.cache(functools.partial(_images, store))
    scores: Iterator[tuple[str, Stage[str], CellLabels]] = plan.scores(*GENERATION_SCORES, *DETECTOR_SCORES)
    for _, score, labels in scores:
        for task in _tasks(plan, score):
            if task in recorded or not (store.done(task) or store.dropped(task)):
                continue
            recorded.add(task)
            stage, manifest = plan.nodes[task].stage, store.manifest(task)
            params = store.definition(task)["params"]
            images = 1  # where costs are not per image
            if stage == GeneratorSample.name:
                images = params["stop"] - params["start"]
            elif stage == DetectorPredict.name and isinstance(score, DetectorScore):
                if not (store.done(score.test) or store.dropped(score.test)):
                    continue  # how many images they were is not known
                images = images_of(score.test)
            cost = Record.of(
                labels,
                category=params.get("category", "") or "all",
                level="cost",
                direction="lower",
                n=images,
                task=task,
                run=manifest.run,
                env=manifest.env,
                seconds=manifest.seconds,
                gpu_seconds=manifest.gpu_seconds,
                peak_memory=manifest.peak_memory,
            )
            memory = float(manifest.peak_memory)
            yield replace(cost, metric=f"{stage} seconds", unit="s", value=manifest.seconds)
            yield replace(cost, metric=f"{stage} peak memory", unit="bytes", value=memory)


def _tasks(plan: Plan, score: Stage[str]) -> Iterator[str]:
    if isinstance(score, GenerationScore):
        yield from generator_tasks(plan, score)
    elif isinstance(score, DetectorScore):
        yield from detector_tasks(plan, score)


def _images(store: Store, pool: str) -> int:
    """How many images a pool has."""
    return sum(store.definition(pool)["params"]["counts"].values())
