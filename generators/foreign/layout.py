"""Folders as released repositories expect them, and their scripts run there.

The programs beside this file run in a repository's interpreter, not in ours: standard library of Python 3.7.
A repository is never written to: its scripts run in a folder of links to it, which takes what they write.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def workspace(repository: Path, folder: Path, written: tuple[str, ...]) -> Path:
    """A folder with a link to each entry of the repository, but for the names that its scripts write."""
    if not repository.is_absolute():
        sys.exit(f"repository is {repository}; give it as an absolute path")
    folder.mkdir(parents=True, exist_ok=True)
    for entry in repository.iterdir():
        if entry.name not in written:
            _link(entry, folder / entry.name)
    return folder


def mvtec_layout(data: Path, target: Path, files: Callable[[int], int]) -> dict[str, list[str]]:
    """What DefectBench wrote to `data`, laid out as MVTec AD in `target`; returns {category: [defect]}.

    The repositories take the first third of a type's files. `files(n)` is the number of files at which their
    rule comes to the `n` that DefectBench gives; the rest are these again, and are not looked at.
    """
    shutil.rmtree(target, ignore_errors=True)
    categories = json.loads((data / "split.json").read_text())["categories"]
    for category, defects in categories.items():
        for row, image in enumerate(sorted((data / category / "train" / "good").iterdir())):
            _link(image, target / category / "train" / "good" / f"{row:03d}.png")
        for defect, count in defects.items():
            for row in range(files(count)):
                stem = f"{row % count:04d}.png"
                source = data / category / "real" / defect
                _link(source / "image" / stem, target / category / "test" / defect / f"{row:03d}.png")
                mask = target / category / "ground_truth" / defect / f"{row:03d}_mask.png"
                _link(source / "mask" / stem, mask)
    return {category: sorted(defects) for category, defects in categories.items()}


def run(command: list[object], cwd: Path, device: str, writes: Path | None = None, **variables: str) -> None:
    """Run a script of the repository to its end, once: what a marker says was done is not done again.

    `writes` is the folder of its results, which is emptied first; without one it runs each time.
    """
    marker = None if writes is None else cwd / f"{writes}.done"
    if marker is not None and marker.exists():
        return
    if writes is not None:
        shutil.rmtree(cwd / writes, ignore_errors=True)
    words = [str(word) for word in command]
    print("$", *words, flush=True)
    done = subprocess.run(words, cwd=cwd, env=environment(device, **variables))
    if done.returncode:
        script = next(word for word in words if word.endswith(".py"))
        sys.exit(f"{script} ended with status {done.returncode}")
    if marker is not None:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def environment(device: str, **variables: str) -> dict[str, str]:
    """The variables of a script that is to see one GPU: "cuda:1" is the second that we see."""
    values = dict(os.environ, **variables)
    if device.startswith("cuda"):
        number = int(device.partition(":")[2] or 0)
        devices = [name for name in values.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        values["CUDA_VISIBLE_DEVICES"] = devices[number] if number < len(devices) else str(number)
    return values


def collect(images: dict[int, Path], masks: dict[int, Path], target: Path) -> None:
    """Copy pairs, given as {number: file}, to image/ and mask/ in `target`, in order of their numbers."""
    for row, number in enumerate(sorted(images)):
        for kind, files in (("image", images), ("mask", masks)):
            if number in files:
                copy = target / kind / f"{row:04d}{files[number].suffix}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(files[number], copy)


def numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """{number: file} of the files whose whole name the pattern matches; its group is the number."""
    matches = ((re.match(f"{pattern}$", path.name), path) for path in folder.iterdir())
    return {int(match.group(1)): path for match, path in matches if match}


def copies(source: Path, target: Path) -> None:
    """Copy a file or folder that a script wrote; one that it did not write ends the program."""
    if not source.exists():
        sys.exit(f"the scripts ended and left no {source}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def spare(count: int) -> int:
    """How many to make for `count`: pairs whose mask is empty are left out."""
    return count + max(8, count // 10)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(source.resolve())
