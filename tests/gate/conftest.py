"""Small measurements made by hand, and one small real run whose store the tests of planted changes share."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli.gate import Outputs, gate_command
from bench.gate.baseline import Baseline
from bench.gate.measured import Run, measured
from bench.gate.rules import Rule
from bench.gate.update import updated
from bench.record.record import Record
from bench.sample import SampleSpec, write

ENVIRONMENT = {
    "python": "3.11.7",
    "machine": "x86_64",
    "cpu": "one",
    "instructions": ["avx2", "avx512f"],
    "gpus": [],
    "cores": 2,
    "os": "Linux",
    "torch": {"threads a task": 1},
    "packages": {"numpy": "2.4.6", "torch": "2.15.0"},
}
FIELDS = {
    "protocol": "p",
    "scale": "smoke",
    "dataset": "sample",
    "dataset_fingerprint": "f" * 64,
    "category": "chip",
    "split": "first-third@1",
    "mix": "real",
    "detector": "unet",
    "detector_version": 1,
    "level": "pixel",
    "metric": "ap",
    "n": 100,
}


def inputs_of(task: str) -> dict[str, str]:
    """The bytes that a task of this name scored: those of its name."""
    return {"prediction": task} if task else {}


def make_run(*rows: Mapping[str, Any], **more: Any) -> Run:
    """A run of records; each row gives the fields that are not as usual."""
    run = Run(
        metrics=measured((Record(**{**FIELDS, **row}) for row in rows), inputs_of),
        methods={"unet": {"id": "unet@1", "parameters": {"learning_rate": 0.001}}},
        environment=ENVIRONMENT,
        mixed=False,
        commit="abc",
        command="bench run",
        on_gpu=False,
        ingested=frozenset(),
    )
    return replace(run, **more)


def seeds(values: Sequence[float], **fields: Any) -> list[dict[str, Any]]:
    """One row a seed."""
    return [{"seed": seed, "value": value, **fields} for seed, value in enumerate(values)]


def make_baseline(run: Run, *rules: Rule) -> Baseline:
    """A baseline that took in a run."""
    first = updated(Baseline(rules=rules) if rules else None, run, {}, reason="first", date="2026-11-22")
    return first


@pytest.fixture
def run_from() -> Callable[..., Run]:
    return make_run


@pytest.fixture
def by_seed() -> Callable[..., list[dict[str, Any]]]:
    return seeds


@pytest.fixture
def baseline_of() -> Callable[..., Baseline]:
    return make_baseline


STAMPS = '''
import numpy as np
from bench.methods import Generator, Sample

class Stamps(Generator):
    """Round grey stamps of any size and place on normal images."""
    name, version, scope = "stamps", 1, "category"
    needs, yields = frozenset({"normal", "types"}), frozenset({"anomaly", "mask", "type"})
    presets = {"tiny": {}}

    def fit(self, data, out, ctx):
        (out / "empty.txt").write_text("nothing to learn")

    def sample(self, model, data, request, ctx):
        normal = data.categories[request.category].normal
        side = data.resolution
        for index in request.indices:
            rng = ctx.rng(f"sample/{request.defect}", index)
            image = normal[int(rng.integers(len(normal)))].copy()
            y, x = rng.integers(side // 4, 3 * side // 4, 2)
            down, across = np.mgrid[:side, :side]
            mask = (down - y) ** 2 + (across - x) ** 2 < rng.integers(4, side // 4) ** 2
            image[mask] = rng.integers(0, 256, 3)
            yield Sample(image, mask, base=None)
'''
RUN = ("run", "--protocol", "mvtec_supervised", "--scale", "smoke", "--plugin", "stamps.py")
METHODS = ("--generators", "stamps", "--detectors", "unet")


@dataclass(frozen=True)
class Workplace:
    """A folder with a data set, a plug-in and a store, in which `bench` runs."""

    folder: Path

    def run(
        self,
        *words: str,
        store: str = "store",
        data: str = "data/chips",
        path: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`bench run` in a process of its own, of methods that take seconds; `path`: more modules."""
        ended = subprocess.run(
            [sys.executable, "-m", "bench", *RUN, *METHODS, "--data", data, "--store", store, *words],
            cwd=self.folder,
            env={**_environ(path), **(env or {})},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]

    def gate(self, baseline: str = "baseline.toml", *, store: str = "store", **more: Any) -> int:
        """`bench gate` in this process; verdicts as JSON in `verdicts.json`."""
        told = {"update": False, "reason": "", "speed": None, **more}
        outputs = Outputs(json=self.folder / "verdicts.json")
        return gate_command(self.folder / baseline, self.folder / store, outputs=outputs, **told)

    def plant(self, text: str) -> None:
        (self.folder / "stamps.py").write_text(text)


def _environ(path: str) -> dict[str, str]:
    places = [part for part in (path, os.environ.get("PYTHONPATH", "")) if part]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)} if places else dict(os.environ)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace in which one run was made and taken in as `baseline.toml`."""
    made = Workplace(tmp_path_factory.mktemp("gate"))
    sizes = SampleSpec(size=64, train=8, test_good=4, per_defect=6, categories=("chip",))
    write(sizes, made.folder / "data" / "chips")
    made.plant(STAMPS)
    made.run()
    assert made.gate(update=True, reason="the first run") == 0
    return made
