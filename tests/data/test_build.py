import numpy as np
import pytest
import tifffile

from bench.data.build import build_pool
from bench.data.images import read_image, resize_image
from bench.data.layout import Item, find_dataset
from bench.data.pool import open_pool
from bench.data.view import View
from bench.errors import BenchError


@pytest.fixture
def category(tmp_path, write_category):
    return find_dataset(write_category(tmp_path / "bolt", crack=4)).categories[0]


def crack(category):
    return [(item, "crack") for item in category.defects["crack"]]


def test_a_pool_holds_the_resized_images_and_masks_in_order(tmp_path, category):
    good = [(item, "good") for item in category.test_good]
    build_pool(crack(category) + good, tmp_path / "pool", View(8))
    pool = open_pool(tmp_path / "pool")
    assert pool.defects == ("crack",) * 4 + ("good",) * 2
    assert [i["stem"] for i in pool.items] == ["000", "001", "002", "003", "000", "001"]
    assert pool.items[0]["size"] == [24, 16]
    for row, (item, _) in enumerate(crack(category) + good):
        assert np.array_equal(pool.images[row], resize_image(read_image(item.path), 8))
    assert pool.mask(0).sum() == 2 * 3  # 6 x 6 pixels of 24 x 16, at 8 x 8
    assert not pool.mask(4).any()


def test_a_pool_of_normal_images_has_no_masks(tmp_path, category):
    build_pool([(item, "good") for item in category.train_good], tmp_path / "pool", View(8))
    assert open_pool(tmp_path / "pool").masks is None


def test_a_pool_of_nothing_is_empty(tmp_path):
    build_pool([], tmp_path / "pool", View(8))
    assert len(open_pool(tmp_path / "pool")) == 0


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path, category):
    for workers in (1, 4):
        build_pool(crack(category) * 5, tmp_path / str(workers), View(8), workers=workers)
    for name in ("images.npy", "masks.npy", "index.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_depth_is_kept_where_every_image_has_it(tmp_path, category):
    depth = np.full((16, 24, 3), 0.5, np.float32)
    tifffile.imwrite(tmp_path / "a.tiff", depth)
    items = [Item(i.path, i.mask_path, tmp_path / "a.tiff", i.stem) for i in category.defects["crack"]]
    build_pool([(item, "crack") for item in items], tmp_path / "pool", View(8))
    assert np.array_equal(open_pool(tmp_path / "pool").depth, np.full((4, 8, 8), 0.5))
    build_pool([(items[0], "crack"), *crack(category)], tmp_path / "mixed", View(8))
    assert open_pool(tmp_path / "mixed").depth is None


def test_a_mask_of_another_size_and_a_missing_one_are_refused(tmp_path, category, mask):
    first = category.defects["crack"][0]
    with pytest.raises(BenchError, match=r"000\.png has no mask"):
        build_pool(
            [(Item(first.path, None, None, "000"), "crack"), crack(category)[1]], tmp_path / "pool", View(8)
        )
    mask(9, 7).save(first.mask_path)
    with pytest.raises(BenchError, match=r"000_mask\.png is 9x7, its image 24x16"):
        build_pool(crack(category), tmp_path / "pool", View(8))


def test_progress_counts_the_images(tmp_path, category):
    seen = []
    build_pool(
        crack(category), tmp_path / "pool", View(8), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
