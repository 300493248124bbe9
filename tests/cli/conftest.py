"""The command line in this process, and a small data set to spoil."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from bench.methods import registry
from bench.planning.config import Skipped
from bench.planning.plan import make_plan, save_plan
from bench.record.labels import CellLabels
from bench.record.record import Record, write_records
from bench.runner.journal import Journal
from bench.sample import SampleSpec, write
from bench.store import Store, open_store
from bench.store.manifest import Manifest
from bench.store.store import file_facts
from bench.tasks import Task

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("DEFECTBENCH_SHARED", REPOSITORY.parent / "shared"))


@dataclass(frozen=True)
class Said:
    """What a command gave back."""

    code: int
    out: str
    err: str


Bench = Callable[..., Said]


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run `bench WORDS` in an empty folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for variable in ("DEFECTBENCH_STORE", "DEFECTBENCH_DATA", "DEFECTBENCH_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)

    # a command is a process of its own; in one process its plug-ins would outlive it
    monkeypatch.setattr(registry, "_PLUGINS", {"generator": {}, "detector": {}})

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return Said(int(ended.value.code or 0), output.out, output.err)

    return run


@pytest.fixture
def refused(bench: Callable[..., Said]) -> Callable[..., str]:
    """Run a command that must be refused in one plain line, and return that line."""

    def run(*words: object) -> str:
        output = bench(*words)
        assert output.code == 2, output
        assert output.err.count("\n") == 1, output.err
        assert output.err.startswith("bench: "), output.err
        for trace in ("Traceback", "Errno", "unforeseen", "[type="):
            assert trace not in output.err
        return output.err.strip()

    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the store of this test goes; nothing is there yet."""
    return tmp_path / "store"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set without a fault: washer and weave, 6 + 2 normal images, 4 of each of 4 defect types."""
    spec = SampleSpec(size=64, train=6, test_good=2, per_defect=4, categories=("washer", "weave"))
    return write(spec, tmp_path_factory.mktemp("sound") / "products")


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    """A copy of the sound data set, to plant a fault in."""
    return Path(shutil.copytree(sound, tmp_path / "products"))


@pytest.fixture
def done_tasks(store: Path) -> Callable[[], list[str]]:
    """The keys of what was made in the store."""
    return lambda: sorted(path.parent.name for path in store.glob("tasks/*/*/manifest.json"))


@pytest.fixture(scope="session")
def shared() -> Path:
    return SHARED


@pytest.fixture
def written_store(tmp_path: Path) -> Callable[..., Path]:
    """Write a store of scored tasks without running them: accuracies by generator, and their replicates."""

    def publish(
        store: Store, task: Task, value: float | None = None, draws: np.ndarray | None = None
    ) -> None:
        if store.done(task.key):
            return
        with store.writing(task.key) as aside:
            out = aside / "out"
            if value is not None:
                (out / "replicates").mkdir(parents=True, exist_ok=True)
                np.save(out / "replicates" / "classification.accuracy.npy", draws)
                measured = Record(
                    **task.params["labels"], level="classification", metric="accuracy", value=value
                )
                write_records(out / "records.jsonl", [measured])
            store.publish(aside, task.definition)

    def write_store(
        root: Path,
        accuracies: dict[str, Any],
        run: str = "20260101-000000-aaaa",
        categories: tuple[str, ...] = ("bolt", "tile"),
        **labels: Any,
    ) -> Path:
        store = open_store(root, create=True)
        test = Task("data.pool", 1, {"part": "test", "content": "0" * 64})
        publish(store, test)
        planned: list[Task | Skipped] = []
        for i, category in enumerate(categories):
            for generator, values in accuracies.items():
                facts = {
                    **{"protocol": "mvtec_supervised", "protocol_version": 1, "scale": "smoke"},
                    **{"dataset": "sample", "dataset_fingerprint": "f", "category": category},
                    **{"split": "first-third@1", "resolution": 64, "seed": 0, "scope": "category"},
                    **{"generator": generator, "mix": "real" if generator == "none" else "generated"},
                    **{"detector": "resnet34", "selection": "last"},
                    **labels,
                }
                if values is None:
                    reason = f"{generator} knows no defect types, so its images have no label to learn"
                    planned.append(Skipped(CellLabels(**facts), (("classification", "accuracy"),), reason))
                    continue
                guess = Task("ingest.predictions", 1, {"of": [generator, category, values[i]]})
                task = Task(
                    "score.classification", 1, {"labels": facts}, (("prediction", guess), ("test", test))
                )
                publish(store, guess)
                publish(store, task, values[i], np.random.default_rng(i).normal(values[i], 0.02, 200))
                planned.append(task)
        about = {"protocol": "mvtec_supervised", "protocol_version": 1, "scale": "smoke", "dataset": "sample"}
        about |= {"banner": "", "warnings": [], "provenance": {"command": "bench run"}}
        plan, _ = make_plan(planned, about)
        path = save_plan(plan, store.root / "runs")
        Journal(store.root / "runs" / f"{run}.json").begin({"plan": path.name, "command": "bench run"}, [], 0)
        return root

    return write_store


@pytest.fixture
def match_manifest() -> Callable[..., None]:
    """What a forger does after a change of files."""

    def match(task: Path, **facts: Any) -> None:
        """Make the manifest of a task agree with what lies in its folder, as a forger would."""
        manifest = json.loads((task / "manifest.json").read_text())
        other_facts = {**manifest, **facts}
        for name in ("key", "files", "inputs", "content", "provenance"):
            other_facts.pop(name)
        forged = Manifest.of(manifest["key"], file_facts(task / "out"), manifest["inputs"], **other_facts)
        (task / "manifest.json").write_text(json.dumps(asdict(forged)))

    return match


@pytest.fixture
def on_own_mounts() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a shell script that may mount file systems which nobody else sees; $BENCH is the command."""
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*isolated, "mount -t tmpfs none /mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets no user mount a file system of their own")
    home = Path(open_store.__code__.co_filename).parents[2]

    def run(script: str) -> subprocess.CompletedProcess[str]:
        text = f'BENCH="{sys.executable} -m bench"\n{script}'
        return subprocess.run(
            [*isolated, text], capture_output=True, text=True, timeout=300, cwd=home, check=False
        )

    return run
