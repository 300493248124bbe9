"""Each protocol once, whole, from the command line, on small data: every cell has a value or a reason."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Rows = list[dict[str, str]]


@pytest.fixture
def run(tmp_path: Path, plugin: Path) -> Callable[..., Rows]:
    """`bench run` at scale smoke with these words, then its records."""

    def done(protocol: str, data: Path, *words: str) -> Rows:
        store = str(tmp_path / "store")
        common = ["--store", store]
        request = ["--protocol", protocol, "--data", str(data), "--scale", "smoke", "--plugin", str(plugin)]
        bench("run", *request, *words, *common)
        out = tmp_path / "records.csv"
        bench("export", str(out), *common)
        return list(csv.DictReader(out.open()))

    def bench(*words: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "bench", *words]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]

    return done


def measured(records: Rows, level: str) -> set[tuple[str, str, str]]:
    """(detector or generator, mix, modality) of the values of a level."""
    return {
        (row["detector"] if row["mix"] else row["generator"], row["mix"], row["modality"])
        for row in records
        if row["level"] == level and row["status"] == "ok" and row["kind"] == "measured"
    }


def check(records: Rows) -> None:
    assert not [row for row in records if row["status"] == "failed"]
    assert all(row["note"] for row in records if row["status"] == "skipped")


def test_synthesis(run: Callable[..., Rows], flat: Path) -> None:
    records = run("mvtec_synthesis", flat, "--detectors", "draem")
    check(records)
    assert {mix for _, mix, _ in measured(records, "pixel")} == {
        "pseudo",
        "real",
        "pseudo+real",
        "generated",
        "pseudo+generated",
    }


def test_unsupervised(run: Callable[..., Rows], flat: Path, tmp_path: Path) -> None:
    records = run("mvtec_unsupervised", flat)
    check(records)
    assert measured(records, "pixel") == {("patchcore", mix, "rgb") for mix in ("normal", "normal+generated")}
    assert measured(records, "generation-normal") == {("augmented_normals", "", "rgb")}
    memories = (tmp_path / "store").glob("tasks/*/*/out/memory.json")
    images = sorted(json.loads(path.read_text())["images"] for path in memories)
    assert images == [6, 10]  # train/good, and four generated ones beside it


def test_generation(run: Callable[..., Rows], flat: Path) -> None:
    records = run("mvtec_generation", flat, "--generators", "crop_paste")
    check(records)
    dialects = {row["dialect"] for row in records if row["metric"] == "ic_lpips" and row["status"] == "ok"}
    assert dialects == {"default", "anomalyhybrid"}
    references = {row["reference"] for row in records if row["dialect"] == "anomalyhybrid"}
    assert references == {"held-out images of the type, at most 100 (the paper says type or product, D31)"}
    assert {mix for _, mix, _ in measured(records, "classification")} == {"real", "generated"}


def test_localization_by_colour_and_depth(run: Callable[..., Rows], deep: Path, tmp_path: Path) -> None:
    words = ("--generators", "deep", "--set", "modalities=rgb,depth,rgb+depth")
    records = run("mvtec_localization", deep, *words)
    check(records)
    mixes = ("real", "generated", "generated+generated-normal")
    expected = {("unet", mix, modality) for mix in mixes for modality in ("rgb", "depth", "rgb+depth")}
    assert measured(records, "pixel") == expected
    maps = [np.load(path) for path in (tmp_path / "store").glob("tasks/*/*/out/amaps.npy")]
    assert len(maps) == 9
    means = [(one + other) / 2 for one in maps for other in maps if one is not other]
    assert sum(any(np.allclose(one, mean, atol=1e-6) for mean in means) for one in maps) == 3
    pages = (tmp_path / "store" / "report").rglob("*.html")
    assert any("unet on rgb+depth" in page.read_text() for page in pages)


OWN = """
name = "half"
version = 1
title = "Half of the defects real"
extends = "mvtec_supervised"
score = []
[rows]
generated = ["half"]
[mixes.half]
normal = 0.5
generated = 0.25
real = 0.25
"""


def test_a_protocol_of_a_users_own_is_a_file(run: Callable[..., Rows], flat: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    records = run(str(path), flat, "--generators", "crop_paste", "--detectors", "maker")
    check(records)
    assert measured(records, "pixel") == {("maker", "real", "rgb"), ("maker", "half", "rgb")}
    assert measured(records, "generation") == set()
    (name,) = {row["protocol"] for row in records}
    assert name.startswith("half#")
    (page,) = (tmp_path / "store" / "report").glob("half-*/index.html")
    assert f"<bdi>{name}</bdi>" in page.read_text()
