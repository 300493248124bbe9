"""One real run of the main job at the scale for tests, shared by the tests that look at what it left."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = ("run", "--protocol", "mvtec_supervised", "--scale", "smoke", "--categories", "chip,weave")


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workplace:
    """A folder with a store, and the commands that work on it."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "bench-store"

    def bench(self, *words: str) -> Done:
        """Run `bench` as a user would, in a process of its own, in the folder."""
        ended = subprocess.run(
            [sys.executable, "-m", "bench", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=900,
        )
        return Done(ended.returncode, ended.stdout, ended.stderr)

    def main_job(self) -> Done:
        return self.bench(*COMMAND)

    def records(self) -> list[dict]:
        out = self.folder / "records.json"
        assert self.bench("export", str(out)).code == 0
        return json.loads(out.read_text())


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace in which the main job ran once."""
    workplace = Workplace(tmp_path_factory.mktemp("main job"))
    first = workplace.main_job()
    assert first.code == 0, first.out[-3000:] + first.err[-3000:]
    (workplace.folder / "first.txt").write_text(first.out)
    return workplace


@pytest.fixture(scope="session")
def magnetic_tiles() -> Path:
    """The magnetic tile data set, where it is at hand."""
    shared = Path(os.environ.get("DEFECTBENCH_SHARED", Path(__file__).resolve().parents[2] / "../shared"))
    root = shared / "data" / "mtd"
    if not root.is_dir():
        pytest.skip(f"the magnetic tile data set is not in {root}")
    return root.resolve()
