"""The written data set: layout, content, and that it is there whole or not at all."""

import json
import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.sample import CATEGORIES, RENDERER_VERSION, SampleSpec, render, write

SPEC = SampleSpec(size=32, train=3, test_good=2, per_defect=2, validation=2, categories=("chip", "leather"))
DEEP = SampleSpec(
    size=32, train=2, test_good=1, per_defect=1, validation=1, categories=("washer",), layout="mvtec3d"
)


def content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(SPEC, tmp_path_factory.mktemp("flat") / "sample")


def test_the_folders_are_those_of_mvtec(written: Path) -> None:
    expected = {"sample.json"}
    for category in SPEC.categories:
        expected |= {f"{category}/train/good/{k:03d}.png" for k in range(3)}
        expected |= {f"{category}/test/good/{k:03d}.png" for k in range(2)}
        for defect in CATEGORIES[category]:
            expected |= {f"{category}/test/{defect}/{k:03d}.png" for k in range(2)}
            expected |= {f"{category}/ground_truth/{defect}/{k:03d}_mask.png" for k in range(2)}
    assert set(content(written)) == expected


def test_images_and_masks_are_read_back_as_they_were_rendered(written: Path) -> None:
    rendered = render(SPEC, "chip", "test", "scratch", 1)
    image = Image.open(written / "chip/test/scratch/001.png")
    mask = Image.open(written / "chip/ground_truth/scratch/001_mask.png")
    assert (image.mode, mask.mode) == ("RGB", "L")
    assert np.array_equal(np.asarray(image), rendered.image)
    assert set(np.unique(np.asarray(mask))) == {0, 255}
    assert np.array_equal(np.asarray(mask) == 255, rendered.mask)


def test_the_label_tells_the_spec_and_the_renderer(written: Path) -> None:
    label = json.loads((written / "sample.json").read_text())
    assert label["renderer_version"] == RENDERER_VERSION
    assert (label["size"], label["categories"]) == (32, ["chip", "leather"])


def test_two_workers_write_the_same_bytes_as_one(written: Path, tmp_path: Path) -> None:
    assert content(write(SPEC, tmp_path / "sample", workers=2)) == content(written)


def test_a_data_set_that_is_there_is_used_again(written: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in written.rglob("*")}
    calls: list[tuple[int, int]] = []
    assert write(SPEC, written, progress=lambda done, total: calls.append((done, total))) == written
    assert {p: p.stat().st_mtime_ns for p in written.rglob("*")} == before
    assert not calls


def test_progress_counts_up_to_all_images(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write(DEEP, tmp_path / "sample", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(k, 8) for k in range(1, 9)]


def test_another_spec_does_not_overwrite_a_data_set(written: Path) -> None:
    before = content(written)
    with pytest.raises(FileExistsError, match=r"seed 0, not 5"):
        write(SampleSpec(seed=5, size=32, categories=("chip",)), written)
    assert content(written) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not a sample data set"):
        write(SPEC, tmp_path)
    assert content(tmp_path) == {"notes.txt": b"mine"}


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    assert (write(DEEP, tmp_path / "sample") / "sample.json").is_file()


def test_workers_under_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers is 0"):
        write(SPEC, tmp_path / "sample", workers=0)


def test_an_error_on_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(SPEC, tmp_path / "sample", progress=stop)
    assert not list(tmp_path.iterdir())


def _killed_half_way(root: Path) -> None:
    def kill(done: int, total: int) -> None:
        if done == total // 2:
            signal.raise_signal(signal.SIGKILL)

    write(SPEC, root, progress=kill)


def test_a_kill_half_way_leaves_no_data_set_and_the_next_run_cleans_up(written: Path, tmp_path: Path) -> None:
    root = tmp_path / "sample"
    process = multiprocessing.get_context("fork").Process(target=_killed_half_way, args=(root,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not root.exists()
    assert len(list(tmp_path.iterdir())) == 1
    assert content(write(SPEC, root)) == content(written)
    assert list(tmp_path.iterdir()) == [root]


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from bench.sample import SampleSpec, write;"
        "write(SampleSpec(size=32), sys.argv[1], workers=2,"
        " progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "sample")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.communicate(timeout=60)  # its end is seen only when the workers have let go of it too
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "sample").exists()


def test_the_depth_layout_is_that_of_mvtec_3d(tmp_path: Path) -> None:
    root = write(DEEP, tmp_path / "sample")
    good = [("train", "good", k) for k in range(2)] + [("validation", "good", 0), ("test", "good", 0)]
    expected = {"sample.json"}
    for split, defect, k in [*good, *(("test", defect, 0) for defect in CATEGORIES["washer"])]:
        place = f"washer/{split}/{defect}"
        expected |= {f"{place}/rgb/{k:03d}.png", f"{place}/xyz/{k:03d}.tiff", f"{place}/gt/{k:03d}.png"}
    assert set(content(root)) == expected


def test_points_hold_the_depth_and_lie_on_the_rays_of_their_pixels(tmp_path: Path) -> None:
    root = write(DEEP, tmp_path / "sample")
    points = tifffile.imread(root / "washer/test/dent/xyz/000.tiff")
    rendered = render(DEEP, "washer", "test", "dent", 0)
    assert (points.dtype, points.shape) == (np.float32, (32, 32, 3))
    assert np.array_equal(points[..., 2], rendered.depth)
    slope = points[..., 0] / points[..., 2]
    assert np.allclose(slope, slope[0]) and (np.diff(slope[0]) > 0).all()
    assert not np.asarray(Image.open(root / "washer/test/good/gt/000.png")).any()
