"""A protocol of the field's full size: 73 defect types, 8 generators, 10 detectors, 5 seeds."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, replace
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bench.data.pool import PoolWriter
from bench.data.published_counts import load_counts
from bench.data.split import third
from bench.methods import registry
from bench.metrics.detection import OF_MASKS
from bench.metrics.masks import MASK_DIALECTS
from bench.metrics.threshold_grids import GRIDS
from bench.planning.config import CategoryPlan, DataPart, Mix, PlanConfig, SplitPlan
from bench.planning.methods import Overrides, resolve
from bench.planning.plan import Node, make_plan, save_plan
from bench.planning.protocol_file import load_protocol
from bench.record.record import Record, write_records
from bench.runner.journal import Journal
from bench.stages.replicates import save_replicates
from bench.store import Manifest, Store, open_store
from bench.store.store import file_facts
from bench.tasks import Task, canonical_json, closure, digest

GENERATORS = ("crop_paste", "cutpaste", "perlin")
TASKS, SIDE = 45_000, 16
MASK_RULES = tuple(name for name in MASK_DIALECTS if name != "default")
DIALECTS = (*product(OF_MASKS, MASK_RULES), *product(("f1_max", "iou"), GRIDS), ("ap", "trapezoid"))
DETECTORS = ("unet", "unet_draem", "bisenet_v2", "upernet", "lfd", "resnet34")


@pytest.fixture(scope="module")
def config() -> PlanConfig:
    """MVTec AD as published, at scale paper; methods beyond the built-in ones are those under other names."""
    spec = load_protocol("mvtec_supervised")
    assert spec.counts is not None
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
            has_masks=True,
            normal=DataPart(f"normal {name}", {"good": counts.train_good}),
            base=DataPart(f"base {name}", base),
            test=DataPart(f"test {name}", {"good": counts.test_good, **rest}),
        )

    published = load_counts(spec.counts.read_text(encoding="utf-8"))
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
        score=spec.score,
        mixes={name: Mix(mix.shares, mix.generated_normals) for name, mix in spec.mixes.items()},
        rows_alone=spec.rows.alone,
        rows_generated=spec.rows.generated,
    )


def test_planning_costs_little_more_than_the_keys(
    config: PlanConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """In CPU seconds, against the canonical JSON and sha256 of every definition: keys cannot do without."""
    begun = time.process_time()
    plan, goals = make_plan(registry.load_plan("protocol")(config), {})
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
    assert len(plan.nodes) > TASKS
    assert planning < 8 * keys  # 4.5 on a quiet machine, 6.1 on a busy one


@pytest.fixture(scope="module")
def store(config: PlanConfig, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with `TASKS` tasks of the plan, each with what reports read of it; numbers come from a seed."""
    about = {
        **{"protocol": "mvtec_supervised", "protocol_version": 1, "scale": "paper", "dataset": "mvtec_ad"},
        **{"banner": "", "warnings": [], "provenance": {"command": "bench run"}},
    }
    plan, goals = make_plan(registry.load_plan("protocol")(config), about)
    store = open_store(tmp_path_factory.mktemp("scale") / "store", create=True)
    path = save_plan(plan, store.root / "runs")
    rng = np.random.default_rng(0)
    for key, task in islice(closure(goals).items(), TASKS):
        out = store.out(key)
        out.mkdir(parents=True)
        _fill(out, task, plan.nodes[key], store, rng)
        (store.folder(key) / "task.json").write_text(canonical_json(task.definition))
        manifest = Manifest.of(key, file_facts(out), {}, seconds=1.0, env="e", run="r")
        (store.folder(key) / "manifest.json").write_text(canonical_json(asdict(manifest)))
    journal = Journal(store.root / "runs" / "run.json")
    journal.begin({"plan": path.name, "command": "bench run"}, list(plan.goals), len(plan.nodes))
    journal.end({}, {})
    return store


def _fill(out: Path, task: Task, node: Node, store: Store, rng: np.random.Generator) -> None:
    """The files of a task, in the form of its stage; pictures are few and small."""
    used = dict(task.inputs)
    match task.stage:
        case "data.cache" | "generator.cache":
            items = [
                {"defect": defect, "stem": f"{number:03d}"}
                for defect, count in task.params["counts"].items()
                for number in range(min(count, 4))
            ]
            writer = PoolWriter(out, len(items), SIDE, fields=("masks",))
            for item in items:
                image = rng.integers(256, size=(SIDE, SIDE, 3), dtype=np.uint8)
                writer.add(item, image, masks=(image[..., 0] > 200) & (item["defect"] != "good"))
            writer.close()
        case "detector.fit":
            steps = [f"{step},{loss:.6g},0.0001" for step, loss in enumerate(rng.random(100))]
            (out / "trace.csv").write_text("\n".join(["step,loss,learning_rate", *steps]))
        case "detector.predict":
            masks = np.load(store.out(used["test"].key) / "masks.npy")
            np.save(out / "amaps.npy", rng.random(masks.shape, dtype=np.float32))
        case "generation.nearest":
            pairs = [{"generated": 0, "side": side, "real": 0, "distance": 0.5} for side in ("train", "test")]
            found = {
                defect: {"copy_distance": 0.4, "pairs": pairs}
                for defect in used["generated"].params["counts"]
            }
            (out / "nearest.json").write_text(json.dumps({"types": found}))
        case "data.duplicates":
            (out / "pairs.json").write_text("[]")
        case _ if node.metrics:
            value = rng.random()
            rows = [
                Record.of(node.labels, level=level, metric=metric, value=value, stderr=0.01, n=100)
                for level, metric in node.metrics
            ]
            write_records(out / "records.jsonl", rows)
            if task.stage != "score.generation":
                draws = value + 0.01 * rng.standard_normal((len(rows), 1000))
                save_replicates(
                    out, {f"{row.level}.{row.metric}": drawn for row, drawn in zip(rows, draws, strict=True)}
                )
            if task.stage == "score.detection":
                _write_dialects(out, node, rng)


def _write_dialects(out: Path, node: Node, rng: np.random.Generator) -> None:
    rows = [
        Record.of(node.labels, level="pixel", metric=metric, dialect=dialect, value=rng.random())
        for metric, dialect in DIALECTS
    ]
    write_records(out / "dialects.jsonl", rows)
    kinds = {kind: np.sort(rng.random((100, 2)), axis=0).round(5).tolist() for kind in ("roc", "pr")}
    (out / "curves.json").write_text(json.dumps({"image": kinds, "pixel": kinds}))


@pytest.mark.full
def test_status_stays_quick_with_many_tasks(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Against a fresh interpreter that reads the plan and nothing else."""
    (path,) = (store.root / "runs").glob("*.plan")
    status = _cost(sys.executable, "-m", "bench", "status", "--store", str(store.root))
    peer = _cost(sys.executable, "-c", f"import json; json.load(open({str(path)!r}))")
    with capsys.disabled():
        print(f"\nstatus with {TASKS} tasks: {status}; reading its plan alone {peer}")
    assert status.seconds < 5 * peer.seconds


@pytest.mark.full
def test_a_report_stays_quick_with_many_tasks(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a fresh interpreter that reads the manifests and the records and nothing else."""
    reading = (
        "import json; from pathlib import Path\n"
        f"for path in Path({str(store.root)!r}).glob('tasks/*/*'):\n"
        "    json.loads((path / 'manifest.json').read_text())\n"
        "    if (path / 'out' / 'records.jsonl').exists():\n"
        "        held = [json.loads(line) for line in (path / 'out' / 'records.jsonl').open()]\n"
    )
    report = _cost(
        sys.executable, "-m", "bench", "report", "--store", str(store.root), "--out", str(tmp_path)
    )
    peer = _cost(sys.executable, "-c", reading)
    heaviest = max(path.stat().st_size for path in tmp_path.rglob("*.html")) / 1e6
    with capsys.disabled():
        print(f"\nreport of {TASKS} tasks: {report}, {heaviest:.2f} MB a page at most; reading alone {peer}")
    assert report.seconds < 16 * peer.seconds  # 8 to 12 on a busy machine


class Cost(NamedTuple):
    """What a command took: seconds of CPU, GB of memory at most."""

    seconds: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s of a CPU and {self.memory:.2f} GB"


def _cost(*command: str) -> Cost:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)
