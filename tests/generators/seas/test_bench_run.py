"""Through `bench run`: a generated set into the leaderboard, and the sentence where weights are missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = (
    *("run", "--protocol", "mvtec_supervised", "--scale", "smoke", "--categories", "weave"),
    *("--detectors", "unet", "--generators", "seas"),
)


def bench(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_CACHE": str(folder / "hub"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.xdist_group("seas run")
def test_a_category_goes_through_to_the_leaderboard(tmp_path: Path, weights: Path) -> None:
    options = ("--set", "seas.steps_per_type=1", "--set", "seas.mask_steps_per_type=1")
    ran = bench(tmp_path, *RUN, "--weights", weights, *options)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert (tmp_path / "bench-store" / "report" / "index.html").exists()
    assert bench(tmp_path, "export", "records.json").returncode == 0
    records = [
        record
        for record in json.loads((tmp_path / "records.json").read_text())
        if record["generator"] == "seas" and record["kind"] == "measured"
    ]
    good = [record for record in records if record["status"] == "ok"]
    levels = {record["level"] for record in good}
    assert {"generation", "generation-normal", "image", "pixel"} <= levels
    assert {record["mix"] for record in good if record["level"] == "pixel"} == {"generated", "generated+real"}
    assert {record["status"] for record in records} <= {"ok", "undefined", "skipped"}


@pytest.mark.xdist_group("seas run")
def test_without_weights_its_cells_are_skipped_before_any_work(tmp_path: Path) -> None:
    said = bench(tmp_path, *RUN, "--dry-run")
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    lines = [line for line in said.stdout.splitlines() if "hf download CompVis/stable-diffusion-v1-4" in line]
    assert any(line.startswith("skipped: 'seas' needs the diffusion model") for line in lines)
    assert any("seas was asked for by name and cannot be" in line for line in lines)
    assert "generator.fit" not in said.stdout
    assert "unet real" in said.stdout
