import numpy as np
import pytest

from bench.data.images import read_image, resize_image
from bench.data.near_duplicates import near_duplicates
from bench.data.split import make_split


@pytest.fixture
def parts():
    """Forty pictures of one product: a common shape, and a coarse pattern of each part's own."""
    rng = np.random.default_rng(0)
    common = np.kron(rng.integers(40, 160, (4, 4, 1)), np.ones((16, 16, 1)))
    own = np.kron(rng.integers(0, 60, (40, 16, 16, 1)), np.ones((1, 4, 4, 1)))
    return np.repeat((common + own), 3, axis=3).astype(np.uint8)


def test_an_image_and_its_copy_are_at_distance_zero(parts):
    assert near_duplicates(parts[:3], parts[1:5], parts[5:]) == [(1, 0, 0), (2, 1, 0)]


def test_another_exposure_noise_and_a_small_defect_do_not_hide_a_part(parts):
    again = parts[:3] * 0.7 + 30 + np.random.default_rng(1).normal(0, 4, parts[:3].shape)
    again[:, 20:22, 20:26] = 0
    pairs = near_duplicates(parts[:3], again.clip(0, 255).astype(np.uint8), parts[5:])
    assert [(p.left, p.right) for p in sorted(pairs)] == [(0, 0), (1, 1), (2, 2)]


def test_parts_of_one_product_are_not_duplicates(parts):
    assert near_duplicates(parts[:10], parts[10:20], parts[20:]) == []


def test_a_wider_threshold_finds_at_least_as_much(parts):
    narrow = near_duplicates(parts[:10], parts[5:20], parts[20:], threshold=0)
    wide = near_duplicates(parts[:10], parts[5:20], parts[20:], threshold=64)
    assert set(narrow) < set(wide)
    assert len(wide) == 150


def test_pictures_of_one_grey_equal_each_other(parts):
    grey = np.full((2, 64, 64, 3), 90, np.uint8)
    assert [p.distance for p in near_duplicates(grey[:1], grey[1:], parts)] == [0]


def test_nothing_has_no_duplicates(parts):
    assert near_duplicates(parts[:0], parts[:3], parts[5:]) == []


def test_the_first_third_of_the_magnetic_tiles_leaves_the_same_parts_on_both_sides(mtd):
    (split,) = make_split(mtd).categories

    def small(items):
        return np.stack([resize_image(read_image(item.path), 64) for item in items])

    base = small([item for item, _ in split.base_items])
    test = small([item for item, _ in split.test_items])
    pairs = near_duplicates(base, test, small(split.normal[:100]))
    defects = [defect for _, defect in split.test_items]
    twins = {p.right for p in pairs if defects[p.right] != "good"}
    assert len(pairs) > 60
    assert len(twins) > len(split.base_items) // 2
    assert sum(defects[p.right] == split.base_items[p.left][1] for p in pairs) > 0.9 * len(pairs)
