"""A protocol of the field's full size: 73 defect types, 8 generators, 10 detectors, 5 seeds."""

import resource
import subprocess
import sys
import time
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import pytest

from bench import registry
from bench.data.published_counts import load_counts
from bench.data.split import third
from bench.planning.config import CategoryPlan, Mix, Part, PlanConfig, SplitPlan
from bench.planning.methods import Overrides, resolve
from bench.planning.plan import make_plan, save_plan
from bench.planning.spec import load_spec
from bench.run.journal import Journal
from bench.store import Manifest, open_store
from bench.tasks import Task, canonical_json, closure, digest

GENERATORS = ("crop_paste", "cutpaste", "perlin")
DETECTORS = ("unet", "unet_draem", "bisenet_v2", "upernet", "lfd", "resnet34")


@pytest.fixture(scope="module")
def config() -> PlanConfig:
    """MVTec AD as published, at scale paper; methods beyond the built-in ones are those under other names."""
    module = registry.load("protocol", "mvtec_supervised")
    spec = load_spec(module.SPEC)
    scale = spec.scales["paper"]

    def methods(kind, names, count):  # type: ignore[no-untyped-def]
        found = [resolve(kind, name, spec, scale, Overrides({}), {}) for name in names]
        return tuple(
            replace(found[i % len(found)], name=f"{kind}{i}", id=f"{kind}{i}@1") for i in range(count)
        )

    def parts(name, counts):  # type: ignore[no-untyped-def]
        base = {defect: third(images) for defect, images in counts.defects.items()}
        rest = {defect: images - base[defect] for defect, images in counts.defects.items()}
        return CategoryPlan(
            name=name,
            has_types=True,
            has_depth=False,
            normal=Part(f"normal {name}", {"good": counts.train_good}),
            base=Part(f"base {name}", base),
            test=Part(f"test {name}", {"good": counts.test_good, **rest}),
        )

    published = load_counts(Path(module.PINNED).read_text(encoding="utf-8"))
    split = SplitPlan("first-third@1", "", tuple(parts(*item) for item in published.items()))
    assert sum(len(category.defects) for category in split.categories) == 73
    return PlanConfig(
        protocol=spec.name,
        version=spec.version,
        scale="paper",
        preset="",
        dataset="mvtec_ad",
        fingerprint="0" * 64,
        splits=dict.fromkeys(range(5), split),
        generators=methods("generator", GENERATORS, 8),
        detectors=methods("detector", DETECTORS, 10),
        seeds=tuple(range(5)),
        resolution=scale.resolution,
        generated_per_type=scale.generated_per_type,
        chunk=scale.chunk,
        replicates=scale.replicates,
        features="embedded",
        features_weights="",
        selection="last",
        mixes={
            name: Mix({str(pool): share for pool, share in shares.items()}, name in spec.generated_normals)
            for name, shares in spec.mixes.items()
        },
    )


def test_planning_costs_little_more_than_the_keys(
    config: PlanConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """In CPU seconds, against the canonical JSON and sha256 of every definition: keys cannot do without."""
    module = registry.load("protocol", "mvtec_supervised")
    begun = time.process_time()
    plan, goals = make_plan(module.plan(config), {})
    planning = time.process_time() - begun
    definitions = [task.definition for task in closure(goals).values()]
    begun = time.process_time()
    for definition in definitions:
        digest(definition)
    keys = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with capsys.disabled():
        print(
            f"\nplanned {len(plan.nodes)} tasks, {len(goals)} goals in {planning:.1f} s, their keys alone "
            f"{keys:.1f} s of a CPU; {peak:.2f} GB of memory in this process at most"
        )
    assert len(plan.nodes) > 50_000
    assert planning < 8 * keys  # 4.5 on a quiet machine, 6.1 on a busy one


@pytest.mark.full
def test_status_stays_quick_with_many_tasks(
    config: PlanConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a fresh interpreter that reads the plan and nothing else."""
    module = registry.load("protocol", "mvtec_supervised")
    plan, goals = make_plan(module.plan(config), {"protocol": "mvtec_supervised", "command": "bench run"})
    store = open_store(tmp_path / "store", create=True)
    path = save_plan(plan, store.root / "runs")
    for key, task in islice(closure(goals).items(), 50_000):
        _put(store.folder(key), key, task)
    journal = Journal(store.root / "runs" / "run.json")
    journal.begin({"plan": path.name, "command": "bench run"}, list(plan.goals), len(plan.nodes))
    journal.end({}, {})
    status = _seconds(sys.executable, "-m", "bench", "status", "--store", str(store.root))
    peer = _seconds(sys.executable, "-c", f"import json; json.load(open({str(path)!r}))")
    with capsys.disabled():
        print(f"\nstatus with 50,000 tasks: {status:.2f} s; reading its plan alone {peer:.2f} s")
    assert status < 5 * peer


def _put(folder: Path, key: str, task: Task) -> None:
    (folder / "out").mkdir(parents=True)
    (folder / "task.json").write_text(canonical_json(task.definition))
    manifest = Manifest(key, {}, {}, digest({"files": {}, "inputs": {}}), seconds=1.0, env="e", run="r")
    (folder / "manifest.json").write_text(canonical_json(asdict(manifest)))


def _seconds(*command: str) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - begun
