"""A program that is not ours, in an interpreter that is not ours."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import json, os, random, struct, subprocess, sys, time, zlib
from pathlib import Path

def png(path, width, height, rows, channels):
    path.parent.mkdir(parents=True, exist_ok=True)
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\\0" + bytes(row) for row in rows)
    kind = 2 if channels == 3 else 0
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    body = part(b"IHDR", head) + part(b"IDAT", zlib.compress(raw)) + part(b"IEND", b"")
    path.write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + body)

def pair(folder, stem, side, rng):
    top, left = rng.randrange(side // 2), rng.randrange(side // 2)
    inside = lambda y, x: top <= y < top + side // 4 and left <= x < left + side // 4
    colour = lambda y, x: (250, 20, 20) if inside(y, x) else (90, 90, 90)
    png(folder / "image" / f"{stem}.png", side, side,
        [[v for x in range(side) for v in colour(y, x)] for y in range(side)], 3)
    png(folder / "mask" / f"{stem}.png", side, side,
        [[255 if inside(y, x) else 0 for x in range(side)] for y in range(side)], 1)

does, step, *rest = sys.argv[1:]
told = sorted(set(os.environ) & {"PYTHONPATH", "VIRTUAL_ENV", "TOLD"})
print(step, "by", sys.executable, "which is told", told)
if does == "fail":
    sys.exit("no convergence")
if does == "hang":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid, flush=True)
    time.sleep(600)
if does == "allocate":
    held = bytearray(700_000_000)
    for i in range(0, len(held), 4096):
        held[i] = 1
    time.sleep(600)
if step == "fit":
    data, model = map(Path, rest)
    told = json.loads((data / "split.json").read_text())
    normals = {name: len(list((data / name / "train" / "good").iterdir())) for name in told["categories"]}
    (model / "model.json").write_text(json.dumps(normals))
elif step == "sample":
    model, out, category, defect, count, seed = Path(rest[0]), Path(rest[1]), *rest[2:]
    assert json.loads((model / "model.json").read_text())[category] > 0
    folder = out / category / defect
    for i in range(int(count) - (does == "few")):
        pair(folder, i, 40, random.Random(f"{seed} {category} {defect} {i}"))
    if does == "link":
        os.symlink("/etc/passwd", folder / "image" / "0.jpg")
    if does == "relink":
        out.rename(out.with_name("moved"))
        os.symlink(out.with_name("moved"), out)
    if does == "broken":
        (folder / "image" / "0.png").write_bytes(b"\\x89PNG no")
    if does == "fill":
        (out / "big").write_bytes(bytes(300_000_000))
        time.sleep(600)
elif step == "predict":
    images, out = map(Path, rest)
    rows = [f"{path.stem},{path.stat().st_size}" for path in sorted(images.iterdir())]
    (out / "scores.csv").write_text("stem,score\\n" + "\\n".join(rows[does == "few":]) + "\\n")
    for path in sorted(images.iterdir()):
        png(out / path.name, 8, 8, [[(x * y) % 256 for x in range(8)] for y in range(8)], 1)
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def generator_file(tmp_path: Path, program: Path) -> Callable[..., Path]:
    """A TOML file of a generator that does what `does` says, with another interpreter if one is given."""

    def write(python: str = sys.executable, limits: str = "") -> Path:
        path = tmp_path / "stamps.toml"
        path.write_text(f'''
kind = "generator"
name = "stamps"
version = 1
about = "Stamps red squares; a program of the tests."
scope = "category"
needs = ["normal"]
yields = ["anomaly", "mask", "type"]
params = {{ does = "work", python = "{python}" }}
requires = ["{{params.python}}"]
env = {{ TOLD = "yes" }}
fit = ["{{params.python}}", "-I", "{program}", "{{params.does}}", "fit", "{{data}}", "{{model}}"]
sample = ["{{params.python}}", "-I", "{program}", "{{params.does}}", "sample", "{{model}}", "{{out}}",
          "{{category}}", "{{defect}}", "{{count}}", "{{seed}}"]
limits = {{ {limits} }}
''')
        return path

    return write


@pytest.fixture
def detector_file(tmp_path: Path, program: Path) -> Path:
    path = tmp_path / "sizes.toml"
    path.write_text(f'''
kind = "detector"
name = "sizes"
version = 1
about = "Scores an image by the size of its file; a program of the tests."
task = "segmentation"
params = {{ does = "work" }}
fit = ["{sys.executable}", "-I", "{program}", "{{params.does}}", "fit", "{{data}}", "{{model}}"]
predict = ["{sys.executable}", "-I", "{program}", "{{params.does}}", "predict", "{{images}}", "{{out}}"]
''')
    return path


@pytest.fixture(scope="session")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with another numpy than ours."""
    import numpy

    other = "2.2.6" if numpy.__version__ != "2.2.6" else "2.2.5"
    folder = tmp_path_factory.mktemp("other") / "venv"
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not here to make another environment")
    quiet = {
        key: value for key, value in os.environ.items() if key not in ("UV_CONSTRAINT", "PIP_CONSTRAINT")
    }
    steps = (
        [uv, "venv", "-q", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), f"numpy=={other}"],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, env=quiet, check=False)
        if done.returncode:
            pytest.skip(f"another environment cannot be made here: {done.stderr.strip().splitlines()[-1]}")
    return str(folder / "bin" / "python")
