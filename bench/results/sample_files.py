"""Where the images of a generator lie."""

from pathlib import Path

from bench.errors import BenchError, did_you_mean
from bench.planning.plan import Plan
from bench.store import Store


def sample_files(plan: Plan, store: Store, generator: str, seed: int) -> list[Path]:
    """The sample sets (samples.zip) that the plan's scores of one generator rest on.

    BenchError where the plan has no such generator at this seed, or where none of its images is made yet.
    """
    files: dict[str, list[Path]] = {}
    for key in plan.goals:
        node = plan.nodes[key]
        if node.stage not in ("score.generation", "score.normals"):
            continue
        if node.labels is None or node.labels.seed != seed:
            continue
        pool = plan.nodes[plan.nodes[node.input("generated")].input("pool")]
        done = [store.out(used) / "samples.zip" for _, used in pool.inputs if store.done(used)]
        files.setdefault(node.labels.generator, []).extend(done)
    if generator in files and not files[generator]:
        raise BenchError(f"{generator} has no images of seed {seed} yet; `bench run` makes them")
    if not files.get(generator):
        raise BenchError(did_you_mean("generator", generator, files, of=f"the last run, seed {seed}"))
    return files[generator]
