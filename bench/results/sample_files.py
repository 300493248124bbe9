"""Where the images of a generator lie."""

from pathlib import Path

from bench.errors import BenchError, did_you_mean
from bench.planning.plan import Plan
from bench.results.method_tasks import GENERATION_SCORES, pool_of, samples_of
from bench.store import Store


def sample_files(plan: Plan, store: Store, generator: str, seed: int) -> list[Path]:
    """The sample sets (samples.zip) that the plan's scores of one generator rest on.

    BenchError where the plan has no such generator at this seed, or where none of its images is made yet.
    """
    files: dict[str, list[Path]] = {}
    for _, score, labels in plan.scores(*GENERATION_SCORES):
        if labels.seed == seed:
            tasks = samples_of(plan, pool_of(plan, score.generated))
            done = [store.out(task) / "samples.zip" for task in tasks if store.done(task)]
            files.setdefault(labels.generator_title, []).extend(done)
    if generator in files and not files[generator]:
        raise BenchError(f"{generator} has no images of seed {seed} yet; `bench run` makes them")
    if not files.get(generator):
        raise BenchError(did_you_mean("generator", generator, files, of=f"the last run, seed {seed}"))
    return files[generator]
