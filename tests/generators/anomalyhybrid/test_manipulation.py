import numpy as np
import pytest

from generators.anomalyhybrid.manipulation import Region, around, feather, manipulate, move

SIDE = 64


@pytest.fixture
def target() -> np.ndarray:
    """A stack with a ramp of depth and edges of 0.2 everywhere."""
    stack = np.full((5, SIDE, SIDE), 0.2, dtype=np.float32)
    stack[3] = np.linspace(0.3, 0.7, SIDE, dtype=np.float32)
    return stack


@pytest.fixture
def region() -> Region:
    """A reference with a dent 0.2 deep and strong edges in a square."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[24:40, 24:40] = True
    stack = np.full((5, SIDE, SIDE), 0.1, dtype=np.float32)
    stack[3] = np.where(mask, 0.7, 0.9)
    stack[4] = np.where(mask, 0.8, 0.0)
    return Region(stack, mask)


@pytest.mark.parametrize("kind", ["mask", "merge", "remove", "replace"])
def test_nothing_changes_beyond_the_region(target: np.ndarray, region: Region, kind: str) -> None:
    structure = manipulate(kind, target, region, region.mask)
    outside = feather(region.mask, 1) == 0
    np.testing.assert_array_equal(structure[:, outside], target[3:][:, outside])


def test_replace_takes_the_references_edges_and_its_depth_against_the_surroundings(target, region) -> None:
    depth, edges = manipulate("replace", target, region, region.mask)
    np.testing.assert_allclose(edges[region.mask], 0.8)
    surroundings = target[3][around(region.mask)].mean()
    np.testing.assert_allclose(depth[region.mask], surroundings - 0.2, atol=1e-5)


def test_merge_keeps_both_edges_and_the_mean_depth(target: np.ndarray, region: Region) -> None:
    target[4, 30] = 0.9  # an edge of the target across the region
    depth, edges = manipulate("merge", target, region, region.mask)
    assert edges[30, 30] == pytest.approx(0.9)
    assert edges[35, 30] == pytest.approx(0.8)
    surroundings = target[3][around(region.mask)].mean()
    np.testing.assert_allclose(
        depth[region.mask], (target[3][region.mask] + surroundings - 0.2) / 2, atol=1e-5
    )


def test_remove_leaves_the_background(target: np.ndarray, region: Region) -> None:
    depth, edges = manipulate("remove", target, region, region.mask)
    assert np.abs(edges[region.mask]).max() < 1e-6
    np.testing.assert_allclose(depth[region.mask], np.percentile(target[3], 2), atol=1e-5)


def test_mask_alone_leaves_the_structure(target: np.ndarray, region: Region) -> None:
    np.testing.assert_array_equal(manipulate("mask", target, region, region.mask), target[3:])


def test_moving_carries_maps_and_region_together(target: np.ndarray, region: Region) -> None:
    for seed in range(20):
        moved = move(region.stack, region.mask, target, False, np.random.default_rng(seed))
        inner = moved.mask & ~around(~moved.mask)
        assert moved.mask.any()
        assert moved.stack[4][moved.mask].mean() > 0.6  # the dent's edges lie under its mask
        if inner.any():
            np.testing.assert_allclose(moved.stack[3][inner], 0.7, atol=0.1)


def test_regions_differ_in_place_and_size(target: np.ndarray, region: Region) -> None:
    moved = [move(region.stack, region.mask, target, True, np.random.default_rng(seed)) for seed in range(8)]
    assert len({m.mask.tobytes() for m in moved}) == 8
    areas = [int(m.mask.sum()) for m in moved]
    assert min(areas) < 0.8 * region.mask.sum() < max(areas)


def test_a_region_of_a_pixel_survives(target: np.ndarray, region: Region) -> None:
    speck = np.zeros_like(region.mask)
    speck[5, 5] = True
    for seed in range(10):
        assert move(region.stack, speck, target, True, np.random.default_rng(seed)).mask.any()
