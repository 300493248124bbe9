"""Real runs of the command line on a small real data set, and what they left."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench.planning.plan import load_plan
from bench.record.record import PROVENANCE, Record
from bench.results.collect import records
from bench.sample import SampleSpec, write
from bench.store import open_store

MARK = "DEFECTBENCH_TEST_STORE"
"""Variable in the environment of the processes of one test."""


@dataclass(frozen=True)
class Runs:
    """One command on a small data set, with one store after another."""

    data: Path

    def command(self, store: Path, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "bench", "run", "--protocol", "mvtec_supervised", "--scale", "smoke"),
            *("--data", str(self.data), "--store", str(store), "--categories", "washer"),
            *("--generators", "crop_paste", "--detectors", "unet", "--workers", "2", *more),
        ]

    def begin(self, store: Path, *more: str, **variables: str) -> "subprocess.Popen[str]":
        """The run, as leader of a session and process group of its own."""
        return subprocess.Popen(
            self.command(store, *more),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, MARK: str(store), **variables},
        )

    def to_the_end(self, store: Path, *more: str, **variables: str) -> str:
        """What a run says that must end well."""
        run = self.begin(store, *more, **variables)
        output, _ = run.communicate()
        assert run.returncode == 0, output
        return output

    def results(self, store: Path) -> list[Record]:
        """All records but what a run costs, without what tells one run from another."""
        (plan_file,) = (store / "runs").glob("*.plan")
        plan = load_plan(plan_file)
        values = [record for record in records(plan, open_store(store)) if record.level != "cost"]
        return [replace(record, **dict.fromkeys(PROVENANCE)) for record in values]

    def workers(self, store: Path) -> list[int]:
        """Processes of `bench exec`, and forks of it, that write into this store or wait for its jobs."""
        numbers = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
                ours = f"{MARK}={store}".encode() in (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if ours and b"exec" in command:
                numbers.append(int(process.name))
        return numbers

    def wait_until_gone(self, store: Path) -> None:
        """Return when the last worker of the killed run is gone; a worker that stays fails the test."""
        waiting = threading.Event()
        until = time.monotonic() + 30
        while numbers := self.workers(store):
            assert time.monotonic() < until, f"bench exec still runs: {numbers}"
            waiting.wait(0.02)

    def left_over(self, store: Path) -> Sequence[Path]:
        """What only running tasks may have."""
        folders = ("tmp", "scratch", "failures", "leases")
        return [path for name in folders for path in (store / name).iterdir() if path.name != ".lock"]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    spec = SampleSpec(size=64, train=6, test_good=2, per_defect=4, categories=("washer",))
    return Runs(write(spec, tmp_path_factory.mktemp("data") / "tiny"))


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory, runs: Runs) -> tuple[Path, list[Record], float]:
    """The store of a run that nobody disturbs, its records, and how long it took."""
    store = tmp_path_factory.mktemp("quiet") / "store"
    begun = time.monotonic()
    runs.to_the_end(store)
    return store, runs.results(store), time.monotonic() - begun


@pytest.fixture
def on_own_mounts() -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    """Run a shell script that may mount file systems which nobody else sees."""
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*isolated, "mount -t tmpfs none /mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets no user mount a file system of their own")
    home = Path(open_store.__code__.co_filename).parents[2]

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*isolated, script], capture_output=True, text=True, cwd=home, check=False)

    return run
