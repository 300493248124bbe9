"""PatchCore as released: `patchcore_run.py fit|predict`, named by patchcore.toml.

Runs in the repository's interpreter (Python 3.8), with what the repository itself needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

NAME = "mvtec_"
"""What run_patchcore.py puts before the name of the category."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("fit", "predict"))
    for name in ("repository", "data", "images", "model", "out", "category", "percentage", "device"):
        parser.add_argument(f"--{name}", default="")
    for name in ("resize", "imagesize", "seed"):
        parser.add_argument(f"--{name}", type=int, default=0)
    asked = parser.parse_args()
    asked.repository = Path(asked.repository)
    if not asked.repository.is_absolute():
        sys.exit(f"repository is {asked.repository}; give it as an absolute path")
    (fit if asked.step == "fit" else predict)(asked)


def fit(asked: argparse.Namespace) -> None:
    here = Path(asked.data).parent / "workspace"
    shutil.rmtree(here, ignore_errors=True)
    normals = sorted((Path(asked.data) / asked.category / "train" / "good").iterdir())
    place = here / "data" / asked.category
    _link(normals, place / "train" / "good")
    # it evaluates what it has trained, and needs one image of each kind for that; nobody reads the numbers
    _link(normals[:1], place / "test" / "good")
    _link(normals[:1], place / "test" / "probe")
    _half_white(place / "ground_truth" / "probe" / normals[0].name)
    script = [sys.executable, "bin/run_patchcore.py", "--gpu", "0", "--seed", asked.seed]
    script += ["--save_patchcore_model", "--log_group", "group", "--log_project", "project", here / "results"]
    script += ["patch_core", "-b", "wideresnet50", "-le", "layer2", "-le", "layer3"]
    script += ["--pretrain_embed_dimension", "1024", "--target_embed_dimension", "1024"]
    script += ["--anomaly_scorer_num_nn", "1", "--patchsize", "3"]
    script += ["sampler", "-p", asked.percentage, "approx_greedy_coreset"]
    script += ["dataset", "--resize", asked.resize, "--imagesize", asked.imagesize, "-d", asked.category]
    words = [str(word) for word in [*script, "mvtec", here / "data"]]
    print("$", *words, flush=True)
    done = subprocess.run(words, cwd=asked.repository, env=_environment(asked))
    if done.returncode:
        sys.exit(f"bin/run_patchcore.py ended with status {done.returncode}")
    saved = here / "results" / "project" / "group" / "models" / f"{NAME}{asked.category}"
    if not saved.is_dir():
        sys.exit(f"bin/run_patchcore.py ended and left no {saved}")
    shutil.copytree(saved, Path(asked.out) / "patchcore")


def predict(asked: argparse.Namespace) -> None:
    os.environ.update(_environment(asked))
    sys.path.insert(0, str(asked.repository / "src"))
    import numpy
    import patchcore.common
    import patchcore.patchcore
    import torch
    from patchcore.datasets.mvtec import DatasetSplit, MVTecDataset

    images = sorted(Path(asked.images).iterdir())
    here = Path(asked.images).parent / "workspace"
    shutil.rmtree(here, ignore_errors=True)
    _link(images, here / asked.category / "test" / "good")
    device = torch.device("cuda:0" if asked.device.startswith("cuda") else "cpu")
    core = patchcore.patchcore.PatchCore(device)
    nearest = patchcore.common.FaissNN(False, 4)
    core.load_from_path(str(Path(asked.model) / "patchcore"), device=device, nn_method=nearest)
    sizes = {"resize": asked.resize, "imagesize": asked.imagesize}
    dataset = MVTecDataset(str(here), classname=asked.category, split=DatasetSplit.TEST, **sizes)
    scores, maps, _, _ = core.predict(torch.utils.data.DataLoader(dataset, batch_size=1))
    before = round((asked.resize - asked.imagesize) / 2)
    after = asked.resize - asked.imagesize - before
    out = Path(asked.out)
    with (out / "scores.csv").open("w") as table:
        table.write("stem,score\n")
        for image, score, amap in zip(images, scores, maps):  # noqa: B905 - Python 3.8
            table.write(f"{image.stem},{float(score)!r}\n")
            amap = numpy.asarray(amap, numpy.float32)
            # beyond the crop nothing was looked at
            whole = numpy.pad(amap, (before, after), constant_values=amap.min())
            numpy.save(out / f"{image.stem}.npy", whole)


def _environment(asked: argparse.Namespace) -> dict[str, str]:
    found = dict(os.environ, PYTHONPATH=str(asked.repository / "src"))
    if asked.device.startswith("cuda"):
        number = int(asked.device.partition(":")[2] or 0)
        seen = [name for name in found.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        found["CUDA_VISIBLE_DEVICES"] = seen[number] if number < len(seen) else str(number)
    return found


def _link(images: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for image in images:
        (folder / image.name).symlink_to(image.resolve())


def _half_white(path: Path, side: int = 64) -> None:
    """A grey PNG of one black and one white half."""
    rows = b"".join(b"\0" + (b"\0" if row < side // 2 else b"\xff") * side for row in range(side))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)))
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in (*parts, (b"IEND", b"")):
            file.write(struct.pack(">I", len(body)) + kind + body)
            file.write(struct.pack(">I", zlib.crc32(kind + body)))


if __name__ == "__main__":
    main()
