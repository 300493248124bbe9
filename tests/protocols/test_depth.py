"""Depth as images, and the mean of two answers."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.pool import PoolWriter, joined, open_pool
from bench.errors import BenchError
from bench.methods.context import Context
from bench.stages.depth import DepthImages, DetectorFuse, depth_image, depth_range
from bench.stages.stage import Output, StageRun

SIDE = 8


@pytest.fixture
def run(tmp_path: Path) -> StageRun:
    out = tmp_path / "out"
    out.mkdir()
    context = Context(0, "stage", "", "bolt", "cpu", tmp_path / "scratch")
    return StageRun({"category": "bolt"}, "", tmp_path, out, context)


def output(folder: Path) -> Output:
    return Output(folder, {})


def pool(folder: Path, depth: np.ndarray | None, defect: str = "good", grey: int = 0, count: int = 3) -> Path:
    """A pool of images of one grey, with this depth [N, H, W] and, if defective, a mask of the first row."""
    folder.mkdir()
    fields = ("depth",) * (depth is not None) + ("masks",) * (defect != "good")
    writer = PoolWriter(folder, count, SIDE, fields=fields)
    for row in range(count):
        values = {} if depth is None else {"depth": depth[row]}
        if defect != "good":
            values["masks"] = np.arange(SIDE)[:, None].repeat(SIDE, 1) == 0
        image = np.full((SIDE, SIDE, 3), grey, np.uint8)
        writer.add({"defect": defect, "stem": f"{row:03d}"}, image, **values)
    writer.close()
    return folder


def slope(count: int = 3) -> np.ndarray:
    """Depth from 1 m in the first column to 2 m in the last, float32 [N, H, W]."""
    return np.broadcast_to(np.linspace(1, 2, SIDE, dtype=np.float32), (count, SIDE, SIDE)).copy()


def test_near_is_bright_and_what_was_not_measured_is_black() -> None:
    depth = np.array([[1.0, 1.5, 2.0, 0.0]], dtype=np.float32)
    grey = depth_image(depth, 1.0, 2.0)
    assert grey.shape == (1, 4, 3)
    assert grey[0, :, 0].tolist() == [255, 128, 1, 0]
    assert (grey == grey[:, :, :1]).all()


def test_a_range_leaves_room_for_what_a_defect_adds_and_is_not_led_by_stray_points() -> None:
    depth = np.linspace(1, 2, 100_000, dtype=np.float32).reshape(10, 100, 100)
    depth[0, 0, :5] = 90.0
    depth[1, 0, :5] = 0.0
    near, far = depth_range(depth)
    assert near == pytest.approx(0.9, abs=0.01)
    assert far == pytest.approx(2.1, abs=0.01)


def test_depth_without_a_measurement_is_refused() -> None:
    with pytest.raises(BenchError, match="no measurement"):
        depth_range(np.zeros((2, 4, 4), np.float32))


def test_a_pool_of_depth_keeps_masks_and_items_and_takes_its_range_from_train_good(
    tmp_path: Path, run: StageRun
) -> None:
    deeper = slope() + 0.05
    colour, normal = pool(tmp_path / "test", deeper, "dent"), pool(tmp_path / "normal", slope())
    DepthImages(output(colour), output(normal)).run(run)
    images, source = open_pool(run.out), open_pool(colour)
    assert images.items == source.items
    assert np.array_equal(images.masks, source.masks)
    near, far = depth_range(slope())
    assert np.array_equal(images.images[1], depth_image(deeper[1], near, far))
    assert images.images[0, 0, 0, 0] < depth_image(slope()[0], near, far)[0, 0, 0]


def test_images_without_depth_are_refused_with_what_to_do(tmp_path: Path, run: StageRun) -> None:
    flat, normal = pool(tmp_path / "test", None), pool(tmp_path / "normal", slope())
    with pytest.raises(BenchError, match="--set modalities=rgb"):
        DepthImages(output(flat), output(normal)).run(run)


def test_maps_and_scores_are_averaged(tmp_path: Path, run: StageRun) -> None:
    folders = {}
    for name, value in (("colour", 0.2), ("depth", 0.6)):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        np.save(folders[name] / "amaps.npy", np.full((2, SIDE, SIDE), value, np.float32))
    np.save(folders["colour"] / "scores.npy", np.ones(2, np.float32))
    DetectorFuse(output(folders["colour"]), output(folders["depth"])).run(run)
    assert np.load(run.out / "amaps.npy") == pytest.approx(0.4)
    assert not (run.out / "scores.npy").exists()  # one side has none: the rule of the protocol takes the map


def test_nothing_to_average_is_an_error(tmp_path: Path, run: StageRun) -> None:
    for name in ("colour", "depth"):
        (tmp_path / name).mkdir()
    with pytest.raises(BenchError, match="nothing can be fused"):
        DetectorFuse(output(tmp_path / "colour"), output(tmp_path / "depth")).run(run)


def test_joined_normals_stand_in_order_and_keep_their_depth(tmp_path: Path) -> None:
    one = open_pool(pool(tmp_path / "one", slope(2), grey=10, count=2))
    other = open_pool(pool(tmp_path / "other", slope(3) + 1, grey=20, count=3))
    both = joined([one, other], tmp_path / "both")
    assert both.images[:, 0, 0, 0].tolist() == [10, 10, 20, 20, 20]
    assert both.depth is not None
    assert np.array_equal(both.depth[2:], other.depth)
    without = open_pool(pool(tmp_path / "without", None))
    assert joined([one, without], tmp_path / "mixed").depth is None
