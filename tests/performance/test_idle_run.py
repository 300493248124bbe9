"""`bench run` where nothing is left to do: a store in which 10,000 tasks are done answers in under 3 s."""

import io
import json
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest

from bench.planning.plan import Node, make_plan, save_plan
from bench.planning.request import RunRequest, prepare_request
from bench.record.record import Record, write_records
from bench.runner.session import site_state
from bench.sample import SampleSpec, write
from bench.store import Manifest, Store, open_store
from bench.store.store import file_facts
from bench.tasks import Task, closure

TASKS = 10_000
SEEDS = 140
GENERATORS = ("crop_paste", "cutpaste", "perlin")


def put(store: Store, task: Task, node: Node, replicates: bytes) -> None:
    """The folder of a done task, as small as the reports can read it (10,000 fsyncs take a minute)."""
    out = store.out(task.key)
    out.mkdir(parents=True)
    (out / "index.json").write_text("[]")
    if task.stage == "detector.fit":
        (out / "trace.csv").write_text("step,loss\n1,0.7\n2,0.5\n")
    if node.metrics:
        rows = [
            Record.of(node.labels, level=level, metric=name, value=0.5, n=10) for level, name in node.metrics
        ]
        write_records(out / "records.jsonl", rows)
        (out / "replicates").mkdir()
        for level, name in node.metrics:
            (out / "replicates" / f"{level}.{name}.npy").write_bytes(replicates)
    if task.stage == "score.detection":
        (out / "curves.json").write_text("{}")
        write_records(out / "dialects.jsonl", [])
    if task.stage == "data.duplicates":
        (out / "pairs.json").write_text("[]")
    folder = store.folder(task.key)
    (folder / "task.json").write_text(json.dumps(task.definition))
    manifest = Manifest.of(task.key, file_facts(out), {}, seconds=1.0, env="e", run="r")
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> RunRequest:
    spec = SampleSpec(size=64, train=6, test_good=2, per_defect=4, categories=("washer",))
    data = write(spec, tmp_path_factory.mktemp("data") / "tiny")
    return RunRequest(
        "mvtec_supervised", data, scale="smoke", seeds=tuple(range(SEEDS)), generators=GENERATORS
    )


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, asked: RunRequest) -> Store:
    """A store in which every task of the request is done, and its page is rendered."""
    store = open_store(tmp_path_factory.mktemp("full") / "store", create=True)
    prepared = prepare_request(asked, store, lambda what: lambda *told: None)
    plan, goals = make_plan(prepared.planned(), prepared.about)
    replicates = io.BytesIO()
    np.save(replicates, np.full(100, 0.5))
    for key, task in closure(goals).items():
        put(store, task, plan.nodes[key], replicates.getvalue())
    (store.root / "report").mkdir()
    page = '<!doctype html><meta name="generator" content="DefectBench">'
    (store.root / "report" / "index.html").write_text(page)
    save_plan(plan, store.root / "runs")
    (store.root / "runs" / "rendered").write_text(json.dumps(site_state(store)))
    return store


def seconds_of(*command: str) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - begun


def test_a_run_with_nothing_to_do_is_quick(
    full: Store, asked: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a fresh interpreter that imports what a run cannot do without and reads each manifest once."""
    tasks = len(list(full.keys()))
    assert tasks >= TASKS
    words = asked.command.split()
    code = (
        "import json, sys, pathlib, pandas, pydantic, rich.console\n"
        "for path in pathlib.Path(sys.argv[1]).glob('tasks/*/*/manifest.json'): json.loads(path.read_bytes())"
    )
    idle, peer = [], []
    for _ in range(3):  # by turns, since what else runs changes
        idle.append(seconds_of(sys.executable, "-m", *words, "--store", str(full.root)))
        peer.append(seconds_of(sys.executable, "-c", code, str(full.root)))
    with capsys.disabled():
        print(
            f"\nnothing to do, {tasks} tasks: {min(idle):.2f} s; "
            f"imports and one read of each manifest: {min(peer):.2f} s"
        )
    assert min(idle) < 4 * min(peer)  # 1.5 to 3.1 by what the disk and the other processes do
