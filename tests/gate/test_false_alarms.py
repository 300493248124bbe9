"""How often the gate cries wolf: on unchanged runs simulated from what real ones stored, and on real ones.

A simulated run draws three seeds of the real ones, and for each a bootstrap resample of the test images, the
same for all metrics, whose values the scoring tasks stored. Baseline, history and run are drawn alike, so
nothing has changed and every red gate is a false alarm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import beta

from bench.gate.baseline import Baseline, Entry, Update
from bench.gate.judge import HALF_AN_IMAGE, judge
from bench.gate.measured import Run, run_of
from bench.gate.metric_key import MetricKey
from bench.gate.rules import default_rules
from bench.gate.verdict import Exit
from bench.results.collect import collect
from bench.runner.find_run import last_run
from bench.store import open_store

pytestmark = pytest.mark.xdist_group("gate")
SEEDS, RUNS = 3, 2000


@dataclass(frozen=True)
class World:
    """What real runs stored: `values` float64 [metrics, seeds, resamples]."""

    run: Run
    keys: tuple[MetricKey, ...]
    values: np.ndarray


def world_of(store_root) -> World:
    store = open_store(store_root)
    results = collect(last_run(store)[1], store)
    rows: dict[MetricKey, dict[int, np.ndarray]] = {}
    resamples = 0
    for record in results.records:
        if record.status == "ok" and record.level != "cost" and record.defect == "all":
            held = results.replicates(record.task).get(f"{record.level}.{record.metric}")
            found = np.array([record.value]) if held is None else held
            resamples = max(resamples, found.size)
            rows.setdefault(MetricKey.of(record), {})[record.seed] = found
    values = [
        [np.broadcast_to(found, resamples) for _, found in sorted(seeds.items())] for seeds in rows.values()
    ]
    return World(run_of(results, lambda task: {}), tuple(rows), np.array(values))


def drawn(world: World, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Values [metrics, groups, SEEDS] of unchanged runs: distinct seeds in each, one resample a seed."""
    seeds = np.array([rng.permutation(world.values.shape[1])[:SEEDS] for _ in range(groups)])
    resamples = rng.integers(world.values.shape[2], size=seeds.shape)
    return world.values[:, seeds, resamples]


def simulated(world: World, past: int, rng: np.random.Generator) -> tuple[Baseline, Run]:
    """A baseline with `past` earlier updates, and a run in which nothing changed."""
    values = drawn(world, past + 2, rng)
    entries, metrics = {}, {}
    for key, (before, after, *history) in zip(world.keys, values, strict=True):
        metric = world.run.metrics[key]
        earlier = tuple((0, tuple(group)) for group in history)
        entries[key] = Entry(1, metric.context, metric.n, metric.unit, dict(enumerate(before)), past=earlier)
        metrics[key] = replace(metric, values=dict(enumerate(after)), absent={})
    baseline = Baseline(
        rules=default_rules(several_seeds=True, gpu=False, ingested=frozenset()),
        updates=(Update(1, "", "", "", "e", ""),),
        environments={"e": world.run.environment},
        entries=entries,
    )
    return baseline, replace(world.run, metrics=metrics)


def unchanged(world: World, runs: int, past: int = 4, seed: int = 8) -> Iterator[tuple[Baseline, Run]]:
    rng = np.random.default_rng(seed)
    return (simulated(world, past, rng) for _ in range(runs))


def upper_bound(red: int, runs: int) -> float:
    """Clopper and Pearson's one-sided 95 % bound of a share."""
    return float(beta.ppf(0.95, red + 1, runs - red))


@pytest.fixture(scope="module")
def world(workplace) -> World:
    workplace.run("--seeds", "0-3", "--set", "replicates=300", store="seeds")
    return world_of(workplace.folder / "seeds")


@pytest.mark.full
def test_at_most_one_unchanged_run_in_a_hundred_is_red(world) -> None:
    assert len(world.keys) > 20 and world.values.shape[1:] == (4, 300)
    red = sum(judge(*each).exit != Exit.PASS for each in unchanged(world, RUNS))
    print(f"{red} of {RUNS} red, at most {upper_bound(red, RUNS):.2%}")
    assert upper_bound(red, RUNS) <= 0.01


@pytest.mark.full
def test_the_same_gate_sees_a_metric_that_fell_by_six_standard_deviations(world) -> None:
    """Of at least half an image, the least standard deviation that the gate believes."""
    least = [HALF_AN_IMAGE / world.run.metrics[key].n for key in world.keys]
    spread = np.maximum(world.values.std(axis=(1, 2)), least)
    found = tried = 0
    for baseline, run in unchanged(world, 40):
        for key, sd in zip(world.keys, spread, strict=True):
            if key.level != "pixel" or key.mix != "real":
                continue
            metric = run.metrics[key]
            fall = 6 * sd + baseline.rule(key).allowed(float(np.mean(list(metric.values.values()))))
            fallen = {seed: value - metric.sign * fall for seed, value in metric.values.items()}
            judgment = judge(
                baseline, replace(run, metrics={**run.metrics, key: replace(metric, values=fallen)})
            )
            found += key.measure in {each.measure for each in judgment.of("loss") if each.cell == key.cell}
            tried += 1
    assert tried == 160 and found / tried > 0.9


@pytest.mark.full
@pytest.mark.parametrize("past", [0, 1, 4])
def test_many_metrics_of_many_detectors_cry_wolf_as_rarely(workplace, past) -> None:
    workplace.run(
        "--generators", "stamps,crop_paste", "--detectors", "unet,bisenet_v2,resnet34", "--seeds", "0-7",
        "--set", "replicates=1000", store="many",
    )  # fmt: skip
    world = world_of(workplace.folder / "many")
    assert len(world.keys) > 70
    red = sum(judge(*each).exit != Exit.PASS for each in unchanged(world, RUNS, past))
    print(f"{red} of {RUNS} red with {past} past updates, at most {upper_bound(red, RUNS):.2%}")
    assert upper_bound(red, RUNS) <= 0.01


@pytest.mark.full
def test_twenty_real_runs_again_are_green(workplace) -> None:
    """Ten in stores of their own, which must give equal bits; ten of other seeds, within chance."""
    for again in range(10):
        workplace.run(store=f"again {again}")
        assert workplace.gate(store=f"again {again}") == 0
    workplace.run("--seeds", "0-2", store="other seeds")
    taken = {"baseline": "other seeds.toml", "store": "other seeds"}
    assert workplace.gate(update=True, reason="three seeds", **taken) == 0
    for again in range(1, 11):
        workplace.run("--seeds", f"{3 * again}-{3 * again + 2}", store="other seeds")
        assert workplace.gate(**taken) == 0
