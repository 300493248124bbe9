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
    arguments = parser.parse_args()
    arguments.repository = Path(arguments.repository)
    if not arguments.repository.is_absolute():
        sys.exit(f"repository is {arguments.repository}; give it as an absolute path")
    (fit if arguments.step == "fit" else predict)(arguments)


def fit(arguments: argparse.Namespace) -> None:
    workspace = Path(arguments.data).parent / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    normals = sorted((Path(arguments.data) / arguments.category / "train" / "good").iterdir())
    category = workspace / "data" / arguments.category
    _link(normals, category / "train" / "good")
    # it evaluates what it has trained, and needs one image of each kind for that; nobody reads the numbers
    _link(normals[:1], category / "test" / "good")
    _link(normals[:1], category / "test" / "probe")
    _half_white(category / "ground_truth" / "probe" / normals[0].name)
    script = [sys.executable, "bin/run_patchcore.py", "--gpu", "0", "--seed", arguments.seed]
    script += [
        "--save_patchcore_model",
        "--log_group",
        "group",
        "--log_project",
        "project",
        workspace / "results",
    ]
    script += ["patch_core", "-b", "wideresnet50", "-le", "layer2", "-le", "layer3"]
    script += ["--pretrain_embed_dimension", "1024", "--target_embed_dimension", "1024"]
    script += ["--anomaly_scorer_num_nn", "1", "--patchsize", "3"]
    script += ["sampler", "-p", arguments.percentage, "approx_greedy_coreset"]
    script += [
        "dataset",
        "--resize",
        arguments.resize,
        "--imagesize",
        arguments.imagesize,
        "-d",
        arguments.category,
    ]
    words = [str(word) for word in [*script, "mvtec", workspace / "data"]]
    print("$", *words, flush=True)
    done = subprocess.run(words, cwd=arguments.repository, env=_environment(arguments))
    if done.returncode:
        sys.exit(f"bin/run_patchcore.py ended with status {done.returncode}")
    saved = workspace / "results" / "project" / "group" / "models" / f"{NAME}{arguments.category}"
    if not saved.is_dir():
        sys.exit(f"bin/run_patchcore.py ended and left no {saved}")
    shutil.copytree(saved, Path(arguments.out) / "patchcore")


def predict(arguments: argparse.Namespace) -> None:
    os.environ.update(_environment(arguments))
    sys.path.insert(0, str(arguments.repository / "src"))
    import numpy
    import patchcore.common
    import patchcore.patchcore
    import torch
    from patchcore.datasets.mvtec import DatasetSplit, MVTecDataset

    images = sorted(Path(arguments.images).iterdir())
    workspace = Path(arguments.images).parent / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    _link(images, workspace / arguments.category / "test" / "good")
    device = torch.device("cuda:0" if arguments.device.startswith("cuda") else "cpu")
    core = patchcore.patchcore.PatchCore(device)
    nearest = patchcore.common.FaissNN(False, 4)
    core.load_from_path(str(Path(arguments.model) / "patchcore"), device=device, nn_method=nearest)
    sizes = {"resize": arguments.resize, "imagesize": arguments.imagesize}
    dataset = MVTecDataset(str(workspace), classname=arguments.category, split=DatasetSplit.TEST, **sizes)
    scores, maps, _, _ = core.predict(torch.utils.data.DataLoader(dataset, batch_size=1))
    before = round((arguments.resize - arguments.imagesize) / 2)
    after = arguments.resize - arguments.imagesize - before
    out = Path(arguments.out)
    with (out / "scores.csv").open("w") as table:
        table.write("stem,score\n")
        for image, score, amap in zip(images, scores, maps):  # noqa: B905 - Python 3.8
            table.write(f"{image.stem},{float(score)!r}\n")
            amap = numpy.asarray(amap, numpy.float32)
            # beyond the crop nothing was looked at
            whole = numpy.pad(amap, (before, after), constant_values=amap.min())
            numpy.save(out / f"{image.stem}.npy", whole)


def _environment(arguments: argparse.Namespace) -> dict[str, str]:
    variables = dict(os.environ, PYTHONPATH=str(arguments.repository / "src"))
    if arguments.device.startswith("cuda"):
        number = int(arguments.device.partition(":")[2] or 0)
        devices = [name for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        variables["CUDA_VISIBLE_DEVICES"] = devices[number] if number < len(devices) else str(number)
    return variables


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
